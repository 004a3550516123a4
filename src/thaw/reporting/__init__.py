"""Stage report: tables, figures, photos and pages."""
