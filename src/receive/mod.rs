//! What is received from Exotel, taken in: after the reply of these functions it is on the disk.

pub mod calls;
