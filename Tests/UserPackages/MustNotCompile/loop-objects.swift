import AsyncIO

// Objects that belong to a loop or to a thread are not `Sendable`, and the compiler says where to use them instead.
func share(_ value: some Sendable) {}

func shareLoopObjects(
    _ transport: StreamTransport, _ reader: StreamReader, _ writer: StreamWriter, _ server: Server, _ runner: Runner,
    _ timer: RepeatingTimer, _ future: Future<Int>, _ group: LoopTaskGroup, _ socket: TransportSocket
) {
    share(transport) // error: a transport belongs to its loop
    share(reader) // error: a reader belongs to one task
    share(writer) // error: a writer belongs to its loop
    share(server) // error: a server belongs to its loop
    share(runner) // error: a runner belongs to its thread
    share(timer) // error: a repeating timer belongs to its loop
    share(future) // error: a future belongs to its loop; give other threads its promise
    share(group) // error: a task group belongs to its loop
    share(socket) // error: a transport's socket belongs to its loop
}
