// Sets, adds and removes response header fields by class of answer.
//
// Read this file first: what a plugin declares, decodes and joins is all here.

public import Origin

public final class HeadersPlugin: Plugin {
  public static let declaration = PluginDeclaration(
    name: "headers", summary: "Sets, adds and removes response header fields by class of answer.",
    settings: ConfigSection(
      "headers", "Response header rules, applied in order.",
      keys: [
        .tables(
          "rules",
          of: [
            .string(
              "class", default: "all",
              .oneOf(
                "all", "manifest", "segment", "progressive", "file", "blob", "thumbnail", "key", "api",
                "error"),
              "Which answers the rule is for.", example: "segment"),
            .stringTable(
              "set", names: .fieldName, values: .fieldValue,
              "Fields to set; each replaces all of its name.", example: "{ \"X-Example\" = \"1\" }"),
            .stringTable(
              "add", names: .fieldName, values: .fieldValue,
              "Fields to add beside those of the same name.", example: "{ \"Link\" = \"</>; rel=up\" }"),
            .strings(
              "remove", default: [], of: .fieldName, "Fields to remove; done before the others.",
              example: ["Timing-Allow-Origin"]),
          ],
          "What to change, in order.",
          example: "[{ class = \"segment\", set = { \"X-Example\" = \"1\" } }]")
      ]))

  private let config: HeadersConfig

  public init(site: String, settings: ConfigTable) throws(PluginError) {
    config = try HeadersConfig(settings)
  }

  public func join(_ pipeline: inout PipelineBuilder) {
    if !config.rules.isEmpty { pipeline.add(HeaderRules(config: config)) }
  }
}
