/// Parameter sets by their identifiers. A stream has one or two, looked up for every slice, so they are looked through.
struct ParameterSetTable<Value> {
  private var entries: [(id: UInt32, value: Value)] = []

  /// - Complexity: linear in the number of identifiers, which whoever stores has to bound.
  subscript(id: UInt32) -> Value? {
    get {
      for entry in entries where entry.id == id { return entry.value }
      return nil
    }
    set {
      let place = entries.firstIndex { $0.id == id }
      switch (place, newValue) {
      case (let place?, let value?): entries[place].value = value
      case (let place?, nil): entries.remove(at: place)
      case (nil, let value?): entries.append((id, value))
      case (nil, nil): break
      }
    }
  }
}

extension ParameterSetTable: Sendable where Value: Sendable {}
