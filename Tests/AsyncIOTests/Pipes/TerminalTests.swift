import AsyncIOTesting
import CAsyncIO
import Foundation
import SystemPackage
import Testing

@testable import AsyncIO

/// In one suite with the tests of signal handlers, because raw mode catches signals.
extension SignalHandlersTests {
    @Test func onlyATerminalIsOne() throws {
        let ends = try Terminal.openPseudoTerminal()
        let pipe = try PipeEnds()
        #expect(Terminal(ends.terminal)?.descriptor == ends.terminal)
        #expect(Terminal(pipe.reader) == nil)
        for descriptor in [ends.controller, ends.terminal, pipe.reader, pipe.writer] {
            #expect(fcntl(descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
            try descriptor.close()
        }
        #expect(Terminal(FileDescriptor(rawValue: -1)) == nil)
    }

    @Test func sizeIsThatOfTheWindow() throws {
        let ends = try Terminal.openPseudoTerminal()
        let terminal = try #require(Terminal(ends.terminal))
        #expect(try terminal.size == Terminal.Size(columns: 0, rows: 0))
        try #require(Terminal(ends.controller)).setSize(Terminal.Size(columns: 120, rows: 40))
        #expect(try terminal.size == Terminal.Size(columns: 120, rows: 40))
        for columns in [-1, 65_536] {
            let failure = #expect(throws: IOError.self) {
                try terminal.setSize(Terminal.Size(columns: columns, rows: 1))
            }
            #expect(failure?.errno == .invalidArgument)
        }
        try ends.terminal.close()
        try ends.controller.close()
    }

    /// Each byte is read at once, without echo, and Ctrl-C is a byte.
    @Test func rawModeIsRestoredOnceByTheObject() throws {
        let ends = try Terminal.openPseudoTerminal()
        let terminal = try #require(Terminal(ends.terminal))
        let former = Modes(ends.terminal)
        #expect(former.isCooked)
        let mode = try terminal.enterRawMode()
        #expect(Modes(ends.terminal).isRaw)
        try ends.controller.write("\u{3}")
        #expect(try ends.terminal.readSome() == [3])
        mode.restore()
        mode.restore()
        #expect(Modes(ends.terminal) == former)
        withExtendedLifetime(try terminal.enterRawMode()) { #expect(Modes(ends.terminal).isRaw) }
        #expect(Modes(ends.terminal) == former)
        try ends.terminal.close()
        try ends.controller.close()
    }

    /// The program may close its descriptor, and the mode is restored by another one.
    @Test func rawModeIsRestoredAlthoughTheDescriptorWasClosed() throws {
        let ends = try Terminal.openPseudoTerminal()
        let other = try ends.terminal.shared()
        let former = Modes(other)
        let outer = try #require(Terminal(ends.terminal)).enterRawMode()
        let inner = try #require(Terminal(ends.terminal)).enterRawMode()
        try ends.terminal.close()
        inner.restore()
        #expect(Modes(other).isRaw)
        outer.restore()
        #expect(Modes(other) == former)
        try other.close()
        try ends.controller.close()
    }

    @Test func moreThanSixteenRawModesAreRefused() throws {
        let ends = try Terminal.openPseudoTerminal()
        let terminal = try #require(Terminal(ends.terminal))
        let former = Modes(ends.terminal)
        var modes: [RawMode] = []
        // Other tests of this process may have some.
        let failure = #expect(throws: IOError.self) { for _ in 0..<17 { modes.append(try terminal.enterRawMode()) } }
        #expect(failure?.errno == .tooManyOpenFiles)
        while let mode = modes.popLast() { mode.restore() }
        #expect(Modes(ends.terminal) == former)
        try ends.terminal.close()
        try ends.controller.close()
    }

    enum Ending: String, CaseIterable, Codable {
        case exit, terminate, abort, handled
    }

    /// The child process is the exit test; this process has the controlling side.
    @Test(.startsProcess, arguments: Ending.allCases)
    func modesAreRestoredWhenTheProcessEnds(ending: Ending) async throws {
        let ends = try Terminal.openPseudoTerminal()
        let name: String = try FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/fd/\(ends.terminal.rawValue)")
        let former = Modes(ends.terminal)
        let condition: ExitTest.Condition =
            switch ending {
            case .exit, .handled: .success
            case .terminate: .signal(SIGTERM)
            case .abort: .signal(SIGABRT)
            }
        await #expect(processExitsWith: condition) { [name = name as String, ending = ending as Ending] in
            let terminal = try #require(Terminal(try FileDescriptor.opening(name, .readWrite)))
            // Never released.
            _ = Unmanaged.passRetained(try terminal.enterRawMode())
            #expect(Modes(terminal.descriptor).isRaw)
            switch ending {
            case .exit: Foundation.exit(0)
            case .terminate: kill(getpid(), SIGTERM)
            case .abort: Foundation.abort()
            case .handled:
                // A loop cannot run within a task.
                try OtherThread.run { try exitByHandler() }
            }
            while true { pause() }
        }
        #expect(Modes(ends.terminal) == former)
        try ends.terminal.close()
        try ends.controller.close()
    }

    /// The dispositions are as before, and a handler of the program is never replaced.
    @Test(.startsProcess)
    func signalsAreOnlyCaughtWhileThereIsARawMode() async {
        await #expect(processExitsWith: .success) {
            signal(SIGHUP, SIG_IGN)
            let ends = try Terminal.openPseudoTerminal()
            let mode = try #require(Terminal(ends.terminal)).enterRawMode()
            #expect(!hasDefaultAction(SIGTERM))
            #expect(isIgnored(SIGHUP))
            mode.restore()
            #expect(hasDefaultAction(SIGTERM))
            #expect(isIgnored(SIGHUP))
        }
    }

    /// Ctrl-C still ends a run that began in raw mode.
    @Test(.startsProcess)
    func loopCatchesCtrlCAlsoInRawMode() async {
        await #expect(processExitsWith: .success) {
            let ends = try Terminal.openPseudoTerminal()
            let mode = try #require(Terminal(ends.terminal)).enterRawMode()
            #expect(aio_interrupt_catch(ends.controller.rawValue) == 1)
            #expect(aio_interrupt_release() == 0)
            mode.restore()
            #expect(hasDefaultAction(SIGINT))
        }
    }
}

/// The modes of a terminal, as far as raw mode changes them.
private struct Modes: Equatable {
    private var input: tcflag_t
    private var output: tcflag_t
    private var local: tcflag_t

    init(_ descriptor: FileDescriptor) {
        var modes = termios()
        tcgetattr(descriptor.rawValue, &modes)
        (input, output, local) = (modes.c_iflag, modes.c_oflag, modes.c_lflag)
    }

    private var flags: tcflag_t { local & tcflag_t(ICANON | ECHO | ISIG) }
    var isRaw: Bool { flags == 0 && output & tcflag_t(OPOST) == 0 }
    var isCooked: Bool { flags == tcflag_t(ICANON | ECHO | ISIG) }
}

private func exitByHandler() throws {
    let loop = try LoopKind.auto.makeLoop()
    try loop.addSignalHandler(.terminate) { Foundation.exit(0) }
    kill(getpid(), SIGTERM)
    try loop.runForever()
}

private func hasDefaultAction(_ signal: CInt) -> Bool { disposition(of: signal) == 0 }

private func isIgnored(_ signal: CInt) -> Bool { disposition(of: signal) == 1 }
