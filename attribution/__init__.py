"""The record: licenses, acceptance, ledger, credentials, look-up and evidence."""
