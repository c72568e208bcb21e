// swift-tools-version: 6.2
// One helper per kind of target, so that each target below is one line that says what it may import.
// The arrows here are the arrows of docs/ARCHITECTURE.md; Tests/OriginTests/ModuleArrowsTests.swift holds them.
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(
  name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let toml = Target.Dependency.product(name: "TOMLKit", package: "TOMLKit")

func system(_ name: String, pkgConfig: String? = nil, apt: String? = nil) -> Target {
  .systemLibrary(
    name: name, path: "Sources/\(name)", pkgConfig: pkgConfig,
    providers: apt.map { [.apt([$0])] })
}

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, path: "Sources/\(name)", swiftSettings: strict)
}

/// SwiftPM keeps `Plugins/` for build plugins, so each plugin states its path.
func plugin(_ folder: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(
    name: "\(folder)Plugin", dependencies: dependencies, path: "Plugins/\(folder)",
    exclude: ["README.md"], swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies, path: "Tests/\(name)", exclude: exclude, swiftSettings: strict)
}

let package = Package(
  name: "headwater",
  products: [
    .executable(name: "headwater", targets: ["headwater"]),
    .executable(name: "headwater-media", targets: ["headwater-media"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
  ],
  targets: [
    system("CLibUV", pkgConfig: "libuv", apt: "libuv1-dev"),
    system("CLMDB", pkgConfig: "lmdb", apt: "liblmdb-dev"),
    system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
    system("CNGHTTP2", pkgConfig: "libnghttp2", apt: "libnghttp2-dev"),
    system("CLibAV", pkgConfig: "libavformat", apt: "libavformat-dev"),
    system("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
    // Not by pkg-config: its flag -D_FILE_OFFSET_BITS=64 is none that SwiftPM takes.
    system("CHiredis", apt: "libhiredis-dev"),
    system("CLinux"),

    module("HTTP"),
    module("Packaging"),
    module("Loop", ["CLibUV", "CLinux"]),
    module("Net", ["CCurl", "CHiredis", "COpenSSL", "Loop"]),
    module("Store", ["CLMDB", "COpenSSL", "CLinux"]),
    module("Codec", ["CLibAV", "Packaging", "CLinux"]),
    module(
      "Origin",
      ["HTTP", "Packaging", "Store", "Loop", "Net", "COpenSSL", "CNGHTTP2", "CLinux", logging, toml]),
    plugin("Headers", ["Origin", "HTTP"]),
    plugin("Transcode", ["Origin", "Packaging", "Store", "Loop", logging]),
    plugin("Thumbnails", ["Origin", "Packaging", "Store", "Loop", logging]),
    plugin("CDN", ["Origin", "HTTP", "Packaging", "Store", "Loop", "Net", logging]),
    plugin("Engagement", ["Origin", "HTTP", "Store", "Net", "Loop", logging]),
    plugin("RedisCache", ["Origin", "HTTP", "Store", "Loop", "Net", logging]),
    .executableTarget(
      name: "headwater",
      dependencies: [
        "Origin", "HTTP", "Store", "HeadersPlugin", "TranscodePlugin", "ThumbnailsPlugin", "CDNPlugin",
        "EngagementPlugin", "RedisCachePlugin", argumentParser, logging,
      ],
      path: "Sources/headwater", swiftSettings: strict),
    .executableTarget(
      name: "headwater-media", dependencies: ["Codec", "Packaging", "CLinux"],
      path: "Sources/headwater-media",
      swiftSettings: strict),

    tests("HTTPTests", ["HTTP"]),
    tests("PackagingTests", ["Packaging", "Codec", "COpenSSL", "Support"], exclude: ["Golden"]),
    tests("CodecTests", ["Codec", "CLibAV", "Packaging", "Support"]),
    tests("LoopTests", ["Loop", "Support"]),
    tests(
      "NetTests", ["Net", "Loop", "Support"], exclude: ["scripted-server.py"]),
    tests("StoreTests", ["Store", "Support"]),
    .target(
      name: "PluginContract", dependencies: ["Origin", "Store", "Loop", logging],
      path: "Tests/PluginContract", swiftSettings: strict),
    tests(
      "OriginTests",
      [
        "Origin", "HTTP", "Packaging", "Store", "Loop", "HeadersPlugin", "PluginContract", "Net", "Support",
        logging,
      ],
      exclude: ["ConfigCases", "unsteady-origin.py"]),
    tests("HeadersPluginTests", ["HeadersPlugin", "Origin", "Store", "PluginContract"]),
    tests(
      "TranscodePluginTests",
      ["TranscodePlugin", "Origin", "Packaging", "Store", "PluginContract", "Support"]),
    tests("ThumbnailsPluginTests", ["ThumbnailsPlugin", "Origin", "Packaging", "Store", "PluginContract"]),
    tests(
      "CDNPluginTests",
      ["CDNPlugin", "Origin", "HTTP", "Store", "Loop", "Net", "PluginContract", "Support", logging]),
    tests(
      "EngagementPluginTests",
      ["EngagementPlugin", "Origin", "HTTP", "Store", "Net", "Loop", "PluginContract", "Support"]),
    tests(
      "RedisCachePluginTests",
      ["RedisCachePlugin", "Origin", "Store", "Loop", "Net", "PluginContract", "Support", logging]),
    .target(
      name: "Support", path: "Tests/Support", exclude: ["redis-between.py", "scripted-redis.py"],
      swiftSettings: strict),
    tests("EndToEnd", ["Support"]),
  ],
  cxxLanguageStandard: .cxx17
)
