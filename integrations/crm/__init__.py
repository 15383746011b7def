"""CRM records: contacts, notes and tasks (`rendering`), and one file for each system that keeps them."""
