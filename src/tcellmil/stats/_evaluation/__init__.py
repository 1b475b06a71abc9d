"""How well predictions match the outcomes of the patients: metrics, their intervals, calibration."""
