// What connections have others do for them: workers read bytes in from the disk and make parts of a body, tasks do what has
// to await.

import Loop
import Store

extension OriginLoop {
  /// Has a worker read bytes into the page cache, and goes on with `next`, which hears whether they may be sent.
  ///
  /// - Returns: false where too many wait for the disk already, which means overload: `next` never runs.
  func populate(
    _ file: BlobFile, _ offset: UInt64, _ count: Int, then next: @escaping (_ isSound: Bool) -> Void
  ) -> Bool {
    counters.coldReads.add(1)
    let work: @Sendable () -> StoreError? = {
      do throws(StoreError) { try file.populate(offset: offset, count: count) } catch { return error }
      return nil
    }
    return server.workers.submit(
      work, on: loop,
      then: { error in
        if let error { self.blobIsUnsound(error.description) }
        next(error == nil)
      })
  }

  /// Has a worker make a part of a body.
  ///
  /// - Returns: false where too many wait for workers already: `next` never runs.
  func make(
    _ body: any DeferredBody, then next: @escaping (Result<[BodySlice], Problem>) -> Void
  ) -> Bool {
    let work: @Sendable () -> Result<[BodySlice], Problem> = {
      do throws(Problem) { return .success(try body.slices()) } catch { return .failure(error) }
    }
    return server.workers.submit(work, on: loop, then: next)
  }

  /// Runs what makes an answer and may await, on this loop, and hands over what came of it.
  func run(
    _ work: @escaping @Sendable () async throws(Problem) -> Representation,
    then next: @escaping (Result<Representation, Problem>) -> Void
  ) {
    let loop = loop
    let next = LoopBound(next, loop: loop)
    loop.beginWork()
    Task.immediate(executorPreference: loop) {
      let result: Result<Representation, Problem>
      do throws(Problem) { result = .success(try await work()) } catch { result = .failure(error) }
      next.value(result)
      loop.endWork()
    }
  }

  /// Runs what an answer must await before it can be made, on this loop, and goes on with `next`.
  func run(_ work: @escaping @Sendable () async -> Void, then next: @escaping () -> Void) {
    let loop = loop
    let next = LoopBound(next, loop: loop)
    loop.beginWork()
    Task.immediate(executorPreference: loop) {
      await work()
      next.value()
      loop.endWork()
    }
  }
}
