// What a connection has workers do for it: read bytes in from the disk, and make parts of a body.

import Loop
import Store

extension Connection {
  func fetch(_ file: BlobFile, _ offset: UInt64, _ count: Int) {
    socket.stopReading()
    owner.counters.coldReads.add(1)
    populate(file, offset, count) { $0.resumeTransfer(fetched: true) }
  }

  /// Has a worker make the next part of the body. One that can't be made ends the connection: its head is sent.
  func make(_ body: any DeferredBody) {
    socket.stopReading()
    let work: @Sendable () -> Result<[BodySlice], Problem> = {
      do throws(Problem) { return .success(try body.slices()) } catch { return .failure(error) }
    }
    let accepted = owner.server.workers.submit(work, on: owner.loop) { made in
      guard self.state == .responding, let transfer = self.transfer else { return }
      switch made {
      case .success(let slices) where transfer.supply(slices):
        self.resumeTransfer(fetched: true)
      case .success:
        self.owner.log(.damaged("a part of the body was made with another length than promised"), nil)
        self.abort()
      case .failure(let problem):
        self.owner.log(problem, nil)
        self.abort()
      }
    }
    if !accepted { abort() }
  }

  /// Has a worker read bytes into the page cache; too many waiting for the disk already means overload.
  func populate(
    _ file: BlobFile, _ offset: UInt64, _ count: Int, then next: @escaping (Connection) -> Void
  ) {
    let accepted = owner.server.workers.submit(
      { file.populate(offset: offset, count: count) }, on: owner.loop, then: { next(self) })
    if !accepted { abort() }
  }
}
