import Glibc
import Testing

@testable import Loop

@Suite(.serialized, .timeLimit(.minutes(5)))
struct SignalSourceTests {
  @Test func everySourceHearsTheSignalUntilCancelled() throws {
    let threads = try LoopThreads(count: 2)
    let heard = Mailbox<Int>()
    let sources = try threads.loops.enumerated().map { index, loop in
      try loop.sync {
        let source = try SignalSource(loop: loop, signal: SIGUSR1) {
          loop.preconditionOnLoop()
          heard.put(index)
        }
        return LoopBound(source, loop: loop)
      }
    }
    kill(getpid(), SIGUSR1)
    #expect(Set(heard.take(2)) == [0, 1])
    try threads.loops[0].sync {
      sources[0].value.cancel()
      sources[0].value.cancel()
    }
    kill(getpid(), SIGUSR1)
    #expect(heard.take() == 1)
    // The loops close the source that is left.
    threads.stopAndJoin()
  }

  @Test func signalsThatCannotBeWatchedAreRefused() throws {
    try withLoop { loop in
      for signal in [SIGKILL, 0, 4096] {
        #expect(throws: LoopError.self) {
          try loop.sync { _ = try SignalSource(loop: loop, signal: signal) {} }
        }
      }
    }
  }
}
