# Sourced by builds whose tests run on one loop of each kind: poll and select differ from epoll in one file, and the
# scripted ones are for tests. ASYNCIO_TEST_LOOPS names other loops.
export ASYNCIO_TEST_LOOPS=${ASYNCIO_TEST_LOOPS-epoll,kqueue,io_uring}
