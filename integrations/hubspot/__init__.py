"""HubSpot as tickets and CRM share it: settings and a client (`client`). No record is made here."""
