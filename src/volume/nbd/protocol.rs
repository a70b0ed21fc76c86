//! The numbers of the protocol, by the names that its document gives them.

/// The protocol's numbers of the handshake.
pub(super) mod handshake {
    pub(in super::super) const NBD_MAGIC: u64 = 0x4e42_444d_4147_4943;
    pub(in super::super) const I_HAVE_OPT: u64 = 0x4948_4156_454f_5054;
    pub(in super::super) const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

    pub(in super::super) const FLAG_FIXED_NEWSTYLE: u16 = 1 << 0;
    pub(in super::super) const FLAG_NO_ZEROES: u16 = 1 << 1;

    pub(in super::super) const OPT_EXPORT_NAME: u32 = 1;
    pub(in super::super) const OPT_ABORT: u32 = 2;
    pub(in super::super) const OPT_LIST: u32 = 3;
    pub(in super::super) const OPT_STARTTLS: u32 = 5;
    pub(in super::super) const OPT_INFO: u32 = 6;
    pub(in super::super) const OPT_GO: u32 = 7;
    pub(in super::super) const OPT_STRUCTURED_REPLY: u32 = 8;
    pub(in super::super) const OPT_LIST_META_CONTEXT: u32 = 9;
    pub(in super::super) const OPT_SET_META_CONTEXT: u32 = 10;

    pub(in super::super) const REP_ACK: u32 = 1;
    pub(in super::super) const REP_SERVER: u32 = 2;
    pub(in super::super) const REP_INFO: u32 = 3;
    pub(in super::super) const REP_META_CONTEXT: u32 = 4;
    pub(in super::super) const REP_ERR_UNSUP: u32 = (1 << 31) + 1;
    pub(in super::super) const REP_ERR_POLICY: u32 = (1 << 31) + 2;
    pub(in super::super) const REP_ERR_INVALID: u32 = (1 << 31) + 3;
    pub(in super::super) const REP_ERR_PLATFORM: u32 = (1 << 31) + 4;
    pub(in super::super) const REP_ERR_TLS_REQD: u32 = (1 << 31) + 5;
    pub(in super::super) const REP_ERR_UNKNOWN: u32 = (1 << 31) + 6;
    pub(in super::super) const REP_ERR_SHUTDOWN: u32 = (1 << 31) + 7;

    pub(in super::super) const INFO_EXPORT: u16 = 0;
    pub(in super::super) const INFO_NAME: u16 = 1;
    pub(in super::super) const INFO_DESCRIPTION: u16 = 2;
    pub(in super::super) const INFO_BLOCK_SIZE: u16 = 3;

    /// Zeros behind the answer to an export's name, unless the client does without.
    pub(in super::super) const EXPORT_NAME_ZEROES: usize = 124;
}

/// What a device can do, as the client is told.
pub(super) mod device_flags {
    pub(in super::super) const HAS_FLAGS: u16 = 1 << 0;
    pub(in super::super) const READ_ONLY: u16 = 1 << 1;
    pub(in super::super) const SEND_FLUSH: u16 = 1 << 2;
    pub(in super::super) const SEND_FUA: u16 = 1 << 3;
    pub(in super::super) const SEND_TRIM: u16 = 1 << 5;
    pub(in super::super) const SEND_WRITE_ZEROES: u16 = 1 << 6;
    pub(in super::super) const SEND_DF: u16 = 1 << 7;
    pub(in super::super) const CAN_MULTI_CONN: u16 = 1 << 8;
    pub(in super::super) const SEND_CACHE: u16 = 1 << 10;
    pub(in super::super) const SEND_FAST_ZERO: u16 = 1 << 11;
}

/// Requests.
pub(super) mod command {
    pub(in super::super) const MAGIC: u32 = 0x2560_9513;
    /// The bytes before the payload.
    pub(in super::super) const HEADER_BYTES: usize = 28;

    pub(in super::super) const READ: u16 = 0;
    pub(in super::super) const WRITE: u16 = 1;
    pub(in super::super) const DISC: u16 = 2;
    pub(in super::super) const FLUSH: u16 = 3;
    pub(in super::super) const TRIM: u16 = 4;
    pub(in super::super) const CACHE: u16 = 5;
    pub(in super::super) const WRITE_ZEROES: u16 = 6;
    pub(in super::super) const BLOCK_STATUS: u16 = 7;

    pub(in super::super) const FLAG_FUA: u16 = 1 << 0;
    pub(in super::super) const FLAG_NO_HOLE: u16 = 1 << 1;
    pub(in super::super) const FLAG_DF: u16 = 1 << 2;
    pub(in super::super) const FLAG_REQ_ONE: u16 = 1 << 3;
    pub(in super::super) const FLAG_FAST_ZERO: u16 = 1 << 4;
}

/// Replies.
pub(super) mod reply {
    pub(in super::super) const SIMPLE_MAGIC: u32 = 0x6744_6698;
    pub(in super::super) const SIMPLE_BYTES: usize = 16;
    pub(in super::super) const STRUCTURED_MAGIC: u32 = 0x668e_33ef;
    pub(in super::super) const STRUCTURED_BYTES: usize = 20;
    pub(in super::super) const FLAG_DONE: u16 = 1 << 0;

    pub(in super::super) const NONE: u16 = 0;
    pub(in super::super) const OFFSET_DATA: u16 = 1;
    pub(in super::super) const OFFSET_HOLE: u16 = 2;
    pub(in super::super) const BLOCK_STATUS: u16 = 5;
    pub(in super::super) const ERROR: u16 = (1 << 15) + 1;
    pub(in super::super) const ERROR_OFFSET: u16 = (1 << 15) + 2;

    /// What `base:allocation` says of an extent.
    pub(in super::super) const STATE_HOLE: u32 = 1 << 0;
    pub(in super::super) const STATE_ZERO: u32 = 1 << 1;
}
