import Foundation

/// What the kernel says of processes.
public enum Processes {
  /// Those that one has started and that are alive.
  public static func children(of process: Int32) -> [Int32] {
    let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    return tasks.flatMap { task in
      let text =
        (try? String(contentsOfFile: "/proc/\(process)/task/\(task)/children", encoding: .utf8)) ?? ""
      return text.split(separator: " ").compactMap { Int32($0.filter(\.isNumber)) }
    }
  }

  /// Whether it is there, if only as one that nobody has waited for.
  public static func isThere(_ process: Int32) -> Bool { kill(process, 0) == 0 }
}
