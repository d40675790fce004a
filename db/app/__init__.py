"""The application database: generations, jobs, keys, feedback and the audit log."""
