// A body on its way: each turn of the transfer ends with what it waits for, and the connection sees to that.

import Loop

extension Connection {
  /// Waits with what a full socket has left over of an answer in one piece.
  func startTransfer(_ transfer: Transfer) {
    self.transfer = transfer
    continueTransfer(.blocked)
  }

  /// Does what the last turn of the transfer came to.
  func continueTransfer(_ first: Transfer.Outcome) {
    guard transfer != nil else { return }
    switch first {
    case .complete:
      self.transfer = nil
      socket.stopWaiting()
      finish()
    case .failed:
      abort()
    case .damaged:
      owner.blobWasShort()
      abort()
    case .yielded:
      socket.stopReading()
      owner.deadlines.arm(deadline, .send)
      // A timer, because work handed to the loop directly would run before other clients get their turn.
      owner.loop.schedule(afterMilliseconds: 0) { self.resumeTransfer(fetched: false) }
    case .cold(let file, let offset, let count):
      socket.stopReading()
      let accepted = owner.populate(file, offset, count) { isSound in
        isSound ? self.resumeTransfer(fetched: true) : self.abortTransfer()
      }
      if !accepted { abort() }
    case .unmade(let body):
      make(body)
    case .blocked:
      socket.stopReading()
      charge()
      owner.deadlines.arm(deadline, .send)
      socket.whenWritable { self.resumeTransfer(fetched: false) }
    }
  }

  /// What is left can't be sent: the client sees that the answer breaks off.
  private func abortTransfer() {
    if state == .responding, transfer != nil { abort() }
  }

  private func resumeTransfer(fetched: Bool) {
    guard state == .responding, let transfer else { return }
    continueTransfer(transfer.resume(on: socket, owner.vectors, fetched: fetched))
  }

  /// Has a worker make the next part of the body. One that can't be made ends the connection: its head is sent.
  private func make(_ body: any DeferredBody) {
    socket.stopReading()
    let accepted = owner.make(body) { made in
      guard self.state == .responding, let transfer = self.transfer else { return }
      switch made {
      case .success(let slices) where transfer.supply(slices):
        return self.resumeTransfer(fetched: true)
      case .success:
        self.owner.log(.damaged("a part of the body was made with another length than promised"), nil)
      case .failure(let problem):
        self.owner.log(problem, nil)
      }
      self.abort()
    }
    if !accepted { abort() }
  }
}
