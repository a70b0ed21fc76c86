//! Real restics, Debian's and the newest, at work as people use them.

mod access;
mod adoption;
mod lifecycle;
mod secure;
