"""E-mail to customers: the messages (`rendering`, `templates/`), and one file for each way to send them."""
