//! The probe example.
