// Sends messages to an echo server and checks every byte that comes back. One thread, one line of JSON as the result.
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "churn.h"
#include "flood.h"
#include "latency.h"
#include "lock_step.h"
#include "support.h"
#include "traffic.h"

static const char usage[] =
    "usage: load-client --connect ENDPOINT (--messages N | --seconds S) [options]\n"
    "\n"
    "  --connections N    how many connections, all opened first (1)\n"
    "  --size BYTES       of one message (64)\n"
    "  --in-flight K      messages under way per connection (1)\n"
    "  --floods N         further connections that send as fast as they can and discard what comes back (0)\n"
    "  --churn            every message has its own connection, which is closed after its echo; --connections is how many\n"
    "                     are open at a time\n"
    "  --warm-up N        messages, over all connections, before the measured ones (0)\n"
    "  --gate             after the warm-up print 'ready' and wait for a line on stdin; after the result wait again,\n"
    "                     so that the server can be looked at while nothing flows and nothing is closed\n"
    "  --lock-step FOLDER the server runs behind wait_gate.c with the FIFOs in FOLDER: one message per connection and\n"
    "                     round, and the costs of the measured rounds are collected\n"
    "\n"
    "Prints one line of JSON. Exits with 1 if a connection was lost or brought wrong bytes, with 2 if it could not\n"
    "run.\n";

// Bounds that protect the machine from a mistyped option.
enum {
    MOST_CONNECTIONS = 20000,
    MOST_IN_FLIGHT = 4096,
    MOST_MESSAGE_BYTES = 16 * 1024 * 1024,
    MOST_SECONDS = 24 * 3600,
};

struct options {
    struct load load;
    uint64_t messages;
    uint64_t nanoseconds;
    uint64_t warm_up;
    bool gate;
    bool churn;
    const char *lock_step;
};

static struct options parse(int count, char **arguments) {
    static const struct option names[] = {
        {"connect", required_argument, NULL, 'c'},  {"connections", required_argument, NULL, 'n'},
        {"size", required_argument, NULL, 's'},     {"in-flight", required_argument, NULL, 'k'},
        {"messages", required_argument, NULL, 'm'}, {"seconds", required_argument, NULL, 'd'},
        {"warm-up", required_argument, NULL, 'w'},  {"gate", no_argument, NULL, 'g'},
        {"lock-step", required_argument, NULL, 'l'}, {"floods", required_argument, NULL, 'f'},
        {"churn", no_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    struct options options = {
        .load = {.connections = 1, .message_bytes = 64, .in_flight = 1},
        .messages = UINT64_MAX,
        .nanoseconds = UINT64_MAX,
    };
    int name;
    while ((name = getopt_long(count, arguments, "h", names, NULL)) != -1) {
        switch (name) {
        case 'c': options.load.server = parse_endpoint("--connect", optarg); break;
        case 'n': options.load.connections = parse_number("--connections", optarg, 1, MOST_CONNECTIONS); break;
        case 's': options.load.message_bytes = parse_number("--size", optarg, 1, MOST_MESSAGE_BYTES); break;
        case 'k': options.load.in_flight = parse_number("--in-flight", optarg, 1, MOST_IN_FLIGHT); break;
        case 'f': options.load.floods = parse_number("--floods", optarg, 0, MOST_CONNECTIONS); break;
        case 'm': options.messages = parse_number("--messages", optarg, 1, UINT64_MAX - 1); break;
        case 'd': options.nanoseconds = parse_seconds("--seconds", optarg, MOST_SECONDS); break;
        case 'w': options.warm_up = parse_number("--warm-up", optarg, 0, UINT64_MAX - 1); break;
        case 'g': options.gate = true; break;
        case 'u': options.churn = true; break;
        case 'l': options.lock_step = optarg; break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < count) fail("'%s' is not an option", arguments[optind]);
    if (options.load.server.length == 0) fail("--connect ENDPOINT is needed");
    if (options.load.server.type == SOCK_DGRAM && options.load.in_flight != 1) {
        fail("a datagram socket has one message under way, because it may be lost");
    }
    bool by_messages = options.messages != UINT64_MAX, by_time = options.nanoseconds != UINT64_MAX;
    if (by_messages == by_time) fail("one of --messages and --seconds is needed");
    uint64_t round = options.load.connections;
    if (options.lock_step != NULL &&
        (by_time || options.load.in_flight != 1 || options.messages % round != 0 || options.warm_up % round != 0)) {
        fail("--lock-step needs whole rounds of messages, one per connection, with one under way");
    }
    return options;
}

static void print_now(const char *text) {
    if (fputs(text, stdout) < 0 || fflush(stdout) != 0) fail_errno("cannot write to stdout");
}

/// Returns false at the end of stdin.
static bool wait_for_line(void) {
    char byte = 0;
    while (byte != '\n') {
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count < 0 && errno != EINTR) fail_errno("cannot read stdin");
        if (count == 0) return false;
    }
    return true;
}

static uint64_t error_count(void) { return traffic_errors() + churn_errors(); }

/// Sends all messages at once, or round by round.
static struct result run(const struct options *options, uint64_t messages, uint64_t nanoseconds, bool counted) {
    if (options->churn) return churn_run(&options->load, messages, nanoseconds);
    if (options->lock_step == NULL) return traffic_run(messages, nanoseconds, counted);
    struct result sum = {0, 0};
    for (uint64_t round = 0; round < messages / options->load.connections && error_count() == 0; round++) {
        struct result result = traffic_run(options->load.connections, UINT64_MAX, counted);
        sum.messages += result.messages;
        sum.nanoseconds += result.nanoseconds;
    }
    return sum;
}

int main(int count, char **arguments) {
    struct options options = parse(count, arguments);
    if (!options.churn) traffic_connect(&options.load);
    if (options.lock_step != NULL) lock_step_arm(options.lock_step);
    if (options.warm_up > 0) run(&options, options.warm_up, UINT64_MAX, false);
    if (options.gate && error_count() == 0) {
        print_now("ready\n");
        if (!wait_for_line()) fail("stdin ended before the measured messages were asked for");
    }
    struct result result = run(&options, options.messages, options.nanoseconds, true);
    // The server must be waiting, or the costs of the last round are incomplete.
    lock_step_wait();
    lock_step_end();
    if (!options.churn) traffic_expect_silence();

    char line[512];
    snprintf(line, sizeof line,
             "{\"connections\": %llu, \"size\": %llu, \"in_flight\": %llu, \"messages\": %llu, \"seconds\": %.6f, "
             "\"errors\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f, \"flood_bytes\": %llu}\n",
             (unsigned long long)options.load.connections, (unsigned long long)options.load.message_bytes,
             (unsigned long long)options.load.in_flight, (unsigned long long)result.messages,
             (double)result.nanoseconds / 1e9, (unsigned long long)error_count(), latency_percentile(0.50),
             latency_percentile(0.99), (unsigned long long)flood_bytes());
    print_now(line);
    if (options.gate && error_count() == 0) wait_for_line();
    return error_count() == 0 ? 0 : 1;
}
