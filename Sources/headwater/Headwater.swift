import ArgumentParser
import Loop
import Origin

/// The command line. One file per subcommand; `BuiltinPlugins.swift` lists what is compiled in.
@main
struct Headwater: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "headwater",
    abstract: "A media origin server: keeps videos safe and serves them to your CDN.",
    version: HeadwaterVersion.text,
    subcommands: [
      ServeCommand.self, WorkerCommand.self, CheckCommand.self, ImportCommand.self, PutCommand.self,
      AssetsCommand.self, JobsCommand.self, CDNCommand.self,
      ScrubCommand.self, GCCommand.self, IndexCommand.self, ExplainCommand.self, SignCommand.self,
      PluginsCommand.self,
      BenchIndexCommand.self,
      BenchPackagingCommand.self,
    ])

  static func main() {
    // Before there is a second thread, which would have its arena already.
    AddressSpace.save()
    // A write that fails is told of where it was made, on any thread.
    ignoreSIGPIPE()
    ignoreSIGXFSZ()
    main(nil)
  }
}
