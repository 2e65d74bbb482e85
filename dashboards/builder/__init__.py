"""One module for each dashboard, and what they share: board, panels, queries, alerts, common."""
