import Origin

/// Applies the rules while a head is rendered, once per representation and not per request.
struct HeaderRules: HeaderFilter {
  let config: HeadersConfig

  func filter(_ fields: inout HeaderFields, of answer: AnswerInfo) {
    for rule in config.rules where rule.kind == nil || rule.kind == answer.kind {
      for name in rule.remove { fields.remove(name) }
      for field in rule.set { fields.set(field.name, field.value) }
      for field in rule.add { fields.add(field.name, field.value) }
    }
  }
}
