"""``python -m sluice.evaluation``: golden rows asked of two model servers, and a verdict on what they answer.

A program of the monitor's image, run by a Job before a candidate has traffic. Data flow downwards:

=============  ======================================================================
``question``   what is asked, strictly read: two servers, a metric, limits
``golden``     the rows, from a file: Parquet, CSV or JSON lines
``inputs``     their cells as the types that a model's signature names
``requests``   which rows go into which request
``asking``     the requests, sent to both servers; their answers as tables
``marking``    answers beside the truth, as the monitor keeps them
``judgement``  the verdict, over all rows and over slices: pure, by ``monitor.performance``
``result``     the JSON that is left for ``python -m sluice.storage publish``
=============  ======================================================================
"""
