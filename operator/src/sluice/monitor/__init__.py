"""``sluice-monitor``: collects what models were asked and answered, and says whether they still agree.

Its own process and image; the operator talks to it over HTTP only. Events flow downwards:

===========================  ========================================================================
``ingress``                  raw ASGI: takes KServe's CloudEvents, answers 202 before any work
``cloudevents``              their headers: which revision, which inference, which half, when
``collector``                bounded queue, shedding, and the loop that works it off
``pairing``                  joins request and response by id, in whatever order they come
``payload``                  V1 and V2 bodies as rows of named cells
``reservoir``                a uniform sample of rows, kept as one matrix of numbers
``store``, ``tally``         buckets of time per revision, within one memory budget
``spool``                    closed buckets as Parquet on a volume, to outlive a restart
``window``                   the buckets of one revision as columns, at one sampling rate
``twosample``                the statistics: pure functions on arrays
``comparison``               one column of both sides on common ground: kind, missing, tests
``verdict``                  the decision: pure, from columns and a rule to one of four words
``contract``                 the JSON of ``POST /v1/drift``
``drift``                    from a question to its answer: gathers rows, judges in a thread
``grading``, ``scoring``     answers beside the truth, as numbers; the metrics of them: pure
``performance``              how sure a metric is, and the decision by its limits: pure
``appraisal``                from a question about performance to its answer
``evidence``, ``exhibit``    reports by id: queued, stored with a digest, the oldest making room
``renderer``                 the process that renders, begun on demand and ended when idle
``rendering``                the only module that imports Evidently; runs in that process
``service``                  the parts put together, with housekeeping
``app``, ``server``          the HTTP face, on uvicorn
``settings``, ``telemetry``  flags and environment; metrics and JSON logs
===========================  ========================================================================
"""
