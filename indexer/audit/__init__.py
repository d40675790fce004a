"""Check a data set before it is indexed or trained on (``python -m indexer audit``).

Not to be confused with the audit log of the service, ``db.app.audit_log``, which records who
requested what.
"""
