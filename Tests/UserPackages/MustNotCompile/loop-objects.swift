import AsyncIO

// Objects that belong to a loop or to a thread are not `Sendable`, and the compiler says where to use them instead.
func share(_ value: some Sendable) {}

func shareLoopObjects(
    _ transport: StreamTransport, _ reader: StreamReader, _ writer: StreamWriter, _ server: Server, _ runner: Runner,
    _ timer: RepeatingTimer, _ future: Future<Int>, _ group: LoopTaskGroup, _ socket: TransportSocket,
    _ lock: Lock, _ semaphore: BoundedSemaphore, _ event: Event, _ condition: Condition, _ barrier: Barrier,
    _ queue: PriorityQueue<Int>
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
    share(lock) // error: a lock belongs to its loop
    share(semaphore) // error: a semaphore belongs to its loop
    share(event) // error: an event belongs to its loop
    share(condition) // error: a condition belongs to its loop
    share(barrier) // error: a barrier belongs to its loop
    share(queue) // error: a queue belongs to its loop
}
