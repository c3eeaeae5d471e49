import AsyncIO
import AsyncIOTesting
import Proactors
import Selectors

// A selector, a proactor and a filter that use only what is public, and the checks that every back end has to pass.

try await checkWatchers { try SelectorEventLoop(selector: PlainSelector()) }
try await checkWatchers { try ProactorEventLoop(proactor: PlainProactor()) }

try await checkStreams { try SelectorEventLoop(selector: PlainSelector()) }
try await checkStreams { try ProactorEventLoop(proactor: PlainProactor()) }

for kind in LoopKind.available {
    try await checkStreams({ try kind.makeLoop() }, filter: { ScramblingFilter() })
}
try await checkStreams({ try SelectorEventLoop(selector: PlainSelector()) }, filter: { ScramblingFilter() })
try await checkStreams({ try ProactorEventLoop(proactor: PlainProactor()) }, filter: { ScramblingFilter() })

print("ok: a selector, a proactor and a filter of a user")
