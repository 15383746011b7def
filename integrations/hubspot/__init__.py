"""HubSpot as tickets and CRM share it: settings (`config`) and a client (`client`). No record is made here."""
