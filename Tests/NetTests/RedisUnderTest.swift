import Foundation
import Loop
import Support

@testable import Net

/// Gives a client on a loop of its own, and sees the loop end.
///
/// - Parameter commandTimeoutMilliseconds: long, since a machine without time must not look like a server without time, where
///   that is not what is tested.
func withRedis<Value>(
  _ url: String, commandTimeoutMilliseconds: UInt64 = 10_000, mostReplyBytes: Int = 1 << 20,
  mostCommands: Int = 10_000, mostCommandBytes: Int = 16 << 20, mostBlockingCommands: Int = 8,
  _ body: (RedisClient) async throws -> Value
) async throws -> Value {
  ignoreSIGPIPE()
  let threads = try LoopThreads(count: 1)
  let workers = try WorkerPool(threadCount: 1)
  var configuration = try RedisConfiguration(url: url)
  configuration.connectTimeoutMilliseconds = 10_000
  configuration.commandTimeoutMilliseconds = commandTimeoutMilliseconds
  configuration.mostReplyBytes = mostReplyBytes
  configuration.mostCommands = mostCommands
  configuration.mostCommandBytes = mostCommandBytes
  configuration.mostBlockingCommands = mostBlockingCommands
  let client = RedisClient(loop: threads.loops[0], workers: workers, configuration: configuration)
  let result: Result<Value, any Error>
  do { result = .success(try await body(client)) } catch { result = .failure(error) }
  client.close()
  workers.shutdown()
  threads.stopAndJoin()
  return try result.get()
}

extension RedisClient {
  /// The code with which the command fails; nil for an answer.
  func failure(_ command: RedisCommand) async -> RedisError.Code? { await error(command)?.code }

  func error(_ command: RedisCommand) async -> RedisError? {
    do throws(RedisError) {
      _ = try await call(command)
      return nil
    } catch {
      return error
    }
  }

  /// The code with which the command fails, and how long that took: on the client's loop, since the pool that tests run on
  /// may be full of them.
  func timedFailure(_ command: RedisCommand) async -> (code: RedisError.Code?, time: Duration) {
    await withTaskExecutorPreference(loop) {
      let begin = ContinuousClock.now
      let code = await failure(command)
      return (code, ContinuousClock.now - begin)
    }
  }

  /// Asks until there is an answer; the time that took.
  func timeUntilAnswer(_ command: RedisCommand, _ limit: Duration = .seconds(30)) async -> Duration? {
    await withTaskExecutorPreference(loop) {
      let begin = ContinuousClock.now
      while ContinuousClock.now - begin < limit {
        if await failure(command) == nil { return ContinuousClock.now - begin }
        // The loop turns only while nothing wants its executor.
        try? await Task.sleep(for: .milliseconds(2))
      }
      return nil
    }
  }
}
