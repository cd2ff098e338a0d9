"""Every metric, span, event and attribute that the agent itself gives out; the kinds declare their own measurements."""

from __future__ import annotations

from otelhealth.telemetry.metric import Metric, Record, declared

SCOPE = "otelhealth"  # of all of it

CHECK_NAME = "otelhealth.check.name"
CHECK_KIND = "otelhealth.check.kind"
CHECK_TIER = "otelhealth.check.tier"
CHECK_STATE = "otelhealth.check.state"
CHECK_PREVIOUS_STATE = "otelhealth.check.previous_state"
CHECK_RESULT = "otelhealth.check.result"
CHECK_DELAY = "otelhealth.check.delay"
CHECK_ATTEMPTS = "otelhealth.check.attempts"
CHECK_ASSERTED = "otelhealth.check.asserted"
CHECK_SEEN = "otelhealth.check.seen"
CHECK_SINCE = "otelhealth.check.since"
CHECK_DURATION = "otelhealth.check.duration"
SERVICE_STATE = "otelhealth.service.state"
LANE = "otelhealth.lane"
REASON = "otelhealth.reason"
OUTCOME = "otelhealth.outcome"
SIGNAL = "otelhealth.signal"
ERROR_TYPE = "error.type"
PEER = "service.peer.name"
CPU_MODE = "cpu.mode"
EXIT_CODE = "process.exit.code"
COMPONENT_NAME = "otel.component.name"
COMPONENT_TYPE = "otel.component.type"

EVENT_STATE_CHANGE = "otelhealth.check.state_change"
EVENT_EXCEPTION = "otelhealth.check.exception"
EVENT_START = "otelhealth.agent.start"
EVENT_STOP = "otelhealth.agent.stop"

_RUN = "each run of the check"

STATUS = Metric(
    "otelhealth.check.status",
    "1",
    "updowncounter",
    "1 for the check's current (debounced) state, 0 for the others.",
    (CHECK_NAME, CHECK_KIND, CHECK_STATE),
)
DURATION = Metric(
    CHECK_DURATION,
    "s",
    "histogram",
    "Duration of a run; its count is the number of runs.",
    (CHECK_NAME, CHECK_KIND, CHECK_RESULT, ERROR_TYPE),
    _RUN,
)
TRANSITIONS = Metric(
    "otelhealth.check.state.transitions",
    "{transition}",
    "counter",
    "Changes of the check's state.",
    (CHECK_NAME, CHECK_STATE, CHECK_PREVIOUS_STATE),
    "each change of state",
)
LAST_RUN = Metric(
    "otelhealth.check.last_run.time", "s", "gauge", "Unix time at which the last run ended.", (CHECK_NAME,), _RUN
)
LAST_SUCCESS = Metric(
    "otelhealth.check.last_success.time",
    "s",
    "gauge",
    "Unix time at which the last run that passed or warned ended.",
    (CHECK_NAME,),
    "each run that passes or warns",
)
SERVICE_STATUS = Metric(
    "otelhealth.service.status",
    "1",
    "updowncounter",
    "1 for the service's current state, 0 for the others.",
    (SERVICE_STATE,),
)
SERVICE_SCORE = Metric("otelhealth.service.score", "1", "gauge", "Weighted share of what is well, 0 to 1.")
LAG = Metric(
    "otelhealth.scheduler.lag",
    "s",
    "histogram",
    "How much later than due a run started.",
    (LANE,),
    "each start of a run",
)
RUNNING = Metric("otelhealth.checks.running", "{check}", "updowncounter", "Checks running now.", (LANE,))
SKIPPED = Metric(
    "otelhealth.checks.skipped",
    "{run}",
    "counter",
    "Runs that were due and did not start.",
    (REASON,),
    "each skipped run",
)
THREADS_BLOCKED = Metric(
    "otelhealth.threads.blocked", "{thread}", "updowncounter", "Threads held by sync checks past their deadline."
)
LOOP_LAG = Metric(
    "otelhealth.runtime.loop.lag",
    "s",
    "histogram",
    "How much later than asked the event loop woke up.",
    (),
    "each time the scheduler wakes, at least once a second",
)
RELOADS = Metric(
    "otelhealth.config.reloads", "{reload}", "counter", "Reloads of the configuration.", (OUTCOME,), "each reload"
)
PROCESS_CPU = Metric("process.cpu.time", "s", "counter", "CPU time used.", (CPU_MODE,))
PROCESS_MEMORY = Metric("process.memory.usage", "By", "updowncounter", "Physical memory in use.")
PROCESS_THREADS = Metric("process.thread.count", "{thread}", "updowncounter", "Threads.")
PROCESS_FDS = Metric(
    "process.unix.file_descriptor.count", "{file_descriptor}", "updowncounter", "Open file descriptors."
)
PROCESS_UPTIME = Metric("process.uptime", "s", "gauge", "Time since the process started.")
PROCESS_UTILIZATION = Metric(
    "process.cpu.utilization",
    "1",
    "gauge",
    "CPU time since the last export over time elapsed and all cores of the machine.",
    when="observed at each export of the service below `exec`",
)
PROCESS_COUNT = Metric(
    "otelhealth.process.count",
    "{process}",
    "updowncounter",
    "Processes: the command's and all below it.",
    when="observed at each export of the service below `exec`",
)
PROCESS_RESTARTS = Metric(
    "otelhealth.process.restarts",
    "{restart}",
    "counter",
    "Times that the command was started again.",
    when="observed at each export of the service below `exec`",
)
PROCESS_EXITS = Metric(
    "otelhealth.process.exits",
    "{exit}",
    "counter",
    "Ends of the command, by exit code; 128 + n for signal n.",
    (EXIT_CODE,),
    "each end of the service below `exec`",
)
EXPORTED_SPANS = Metric(
    "otel.sdk.exporter.span.exported",
    "{span}",
    "counter",
    "Spans whose export ended; with error.type those that were lost.",
    (COMPONENT_NAME, COMPONENT_TYPE, ERROR_TYPE),
    "each export of spans",
)
EXPORTED_POINTS = Metric(
    "otel.sdk.exporter.metric_data_point.exported",
    "{data_point}",
    "counter",
    "Metric points whose export ended; with error.type those that were lost.",
    (COMPONENT_NAME, COMPONENT_TYPE, ERROR_TYPE),
    "each export of metrics",
)
EXPORTED_LOGS = Metric(
    "otel.sdk.exporter.log.exported",
    "{log_record}",
    "counter",
    "Log records whose export ended; with error.type those that were lost.",
    (COMPONENT_NAME, COMPONENT_TYPE, ERROR_TYPE),
    "each export of log events",
)
SPOOL_USAGE = Metric(
    "otelhealth.spool.usage", "By", "updowncounter", "Size of the requests that wait to be delivered.", (SIGNAL,)
)
SPOOL_LIMIT = Metric(
    "otelhealth.spool.limit", "By", "updowncounter", "Size from which on the oldest of all signals are dropped."
)
SPOOL_REQUESTS = Metric(
    "otelhealth.spool.requests",
    "{request}",
    "counter",
    "Requests that were sent or rejected for good; attempts to be retried; duplicates, sent again because an answer "
    "was lost.",
    (SIGNAL, OUTCOME),
    "each attempt to deliver",
)
SPOOL_DROPPED = Metric(
    "otelhealth.spool.dropped",
    "{item}",
    "counter",
    "Spans, points and log records that were lost: too old, no room (size), rejected with their request (poison) or "
    "alone (partial).",
    (SIGNAL, REASON),
    "each loss",
)
RECEIVED = Metric(
    "otelhealth.receiver.requests",
    "{request}",
    "counter",
    "OTLP requests that came in: forwarded to the spool, discarded where no endpoint is set, or refused with a status.",
    (SIGNAL, OUTCOME, ERROR_TYPE),
    "each request of the service",
)

OF_A_PROCESS = (PROCESS_CPU, PROCESS_MEMORY, PROCESS_THREADS, PROCESS_FDS, PROCESS_UPTIME)
OF_A_CHILD = (*OF_A_PROCESS, PROCESS_UTILIZATION, PROCESS_COUNT, PROCESS_RESTARTS, PROCESS_EXITS)
METRICS = declared(globals())

SPANS = (
    Record(
        "check {name}",
        "INTERNAL, the root of a run's trace; ERROR with error.type where the run failed or is unknown.",
        (
            CHECK_NAME,
            CHECK_KIND,
            CHECK_TIER,
            CHECK_DELAY,
            CHECK_ATTEMPTS,
            CHECK_RESULT,
            CHECK_STATE,
            ERROR_TYPE,
            PEER,
        ),
        _RUN,
    ),
)
EVENTS = (
    Record(
        EVENT_STATE_CHANGE,
        "INFO to pass, WARN to warn and unknown, ERROR to fail, in the run's span; with what was asserted and seen, "
        "and the resource use at that time (`system.*`).",
        (
            CHECK_NAME,
            CHECK_KIND,
            CHECK_TIER,
            CHECK_STATE,
            CHECK_PREVIOUS_STATE,
            CHECK_SINCE,
            CHECK_DURATION,
            CHECK_ASSERTED,
            CHECK_SEEN,
            ERROR_TYPE,
            PEER,
        ),
        "each change of state",
    ),
    Record(
        EVENT_EXCEPTION,
        "ERROR: a check raised what it should not.",
        (CHECK_NAME, CHECK_KIND, "exception.type", "exception.message", "exception.stacktrace"),
        "the run that raised",
    ),
    Record(EVENT_START, "INFO: the agent works.", (), "start"),
    Record(EVENT_STOP, "INFO: the agent ends.", (), "stop"),
)
