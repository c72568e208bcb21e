// `headwater-media` is the only program of Headwater that maps libav, and the only one that lets it touch bytes of
// strangers. `headwater` starts it beside itself, one process for each file:
//
//     headwater-media remux --demuxer matroska 3<input 4<>output 5>report
//
// with a descriptor for each of the three and no path at all, so that the sandbox needs no exception: once it is up
// (`Codec/Sandbox.swift`, which says what it consists of), nothing can be opened. Order: the command line is read, the
// sandbox goes up, then libav sees the first byte. What comes back is a `RemuxReport`.
//
// Limits that the process sets for itself are address space, processor time and the size of the output. A limit on wall
// clock, and a process group of its own, are the parent's to set. The kernel ends the process with the *thread* that
// started it (PR_SET_PDEATHSIG): start it from one that lives on until the end was waited for.
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#endif

exit(MediaCommand.run(Array(CommandLine.arguments.dropFirst())))
