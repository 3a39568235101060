"""``sluice-monitor``: collects what models were asked and answered, and says whether they still agree.

Its own process and image; the operator talks to it over HTTP only. Events flow downwards:

====================  =================================================================
``ingress``           raw ASGI: takes KServe's CloudEvents, answers 202 before any work
``collector``         bounded queue, shedding, and the loop that works it off
``pairing``           joins request and response by id, in whatever order they come
``payload``           V1 and V2 bodies as rows of named cells
``reservoir``         a uniform sample of rows, kept as one matrix of numbers
``store``             buckets of time per revision, within one memory budget
``spool``             finished buckets as Parquet on a volume, to outlive a restart
``window``            the buckets of one revision as columns, at one sampling rate
``twosample``         the statistics: pure functions on arrays
``verdict``           the decision: pure functions on columns
``evidence``          Evidently reports: rendered aside, stored with a digest
``rendering``         the only module that imports Evidently; runs in its own process
``contract``          the JSON of ``POST /v1/drift``
``service``, ``app``  the parts put together, and their HTTP face
====================  =================================================================
"""
