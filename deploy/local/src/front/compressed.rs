//! ClickHouse's own compressed blocks, the body of a request with `decompress=1`.
//!
//! A block is a CityHash128 of what follows, a method byte, both sizes and the LZ4 data. A block
//! that does not match its checksum is refused: better no row than a wrong one.

use cityhash_rs::cityhash_102_128;

const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 9;
const LZ4: u8 = 0x82;
const UNCOMPRESSED: u8 = 0x02;
/// The server's own limit for one block; it bounds what a forged header can make us allocate.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Why a body is not a sequence of whole blocks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BlockError {
    #[error("a compressed block does not match its checksum")]
    Checksum,
    #[error("compression method {0:#x} is not known here; use LZ4 or none")]
    Method(u8),
    #[error("a compressed block names impossible sizes")]
    Size,
    #[error("the LZ4 data of a compressed block is broken")]
    Data,
    #[error("the body ends inside a compressed block")]
    Unfinished,
}

/// Takes compressed bytes in pieces cut anywhere and gives back whole decompressed blocks.
#[derive(Debug, Default)]
pub(crate) struct Decompressor {
    pending: Vec<u8>,
}

impl Decompressor {
    /// Calls `block` with every block that is whole by now.
    pub(crate) fn push<E: From<BlockError>>(
        &mut self,
        piece: &[u8],
        mut block: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.pending.extend_from_slice(piece);
        let mut done = 0;
        while let Some((used, data)) = first_block(self.pending.get(done..).unwrap_or_default())? {
            block(&data)?;
            done += used;
        }
        self.pending.drain(..done);
        Ok(())
    }

    /// Whether the body ended where a block ends.
    pub(crate) fn finish(&self) -> Result<(), BlockError> {
        if self.pending.is_empty() { Ok(()) } else { Err(BlockError::Unfinished) }
    }
}

/// The first block of `bytes` decompressed, and its size there; `None` while it is not whole.
fn first_block(bytes: &[u8]) -> Result<Option<(usize, Vec<u8>)>, BlockError> {
    let Some((checksum, rest)) = bytes.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Ok(None);
    };
    let Some(([method, sizes @ ..], _)) = rest.split_first_chunk::<HEADER_BYTES>() else {
        return Ok(None);
    };
    let [c0, c1, c2, c3, u0, u1, u2, u3] = *sizes;
    let compressed = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
    let uncompressed = u32::from_le_bytes([u0, u1, u2, u3]) as usize;
    if !(HEADER_BYTES..=BLOCK_BYTES_MAX).contains(&compressed) || uncompressed > BLOCK_BYTES_MAX {
        return Err(BlockError::Size);
    }
    let Some(sealed) = rest.get(..compressed) else { return Ok(None) };
    // The reference stores the high half first.
    if cityhash_102_128(sealed).rotate_left(64) != u128::from_le_bytes(*checksum) {
        return Err(BlockError::Checksum);
    }
    let data = sealed.get(HEADER_BYTES..).unwrap_or_default();
    let data = match *method {
        LZ4 => lz4_flex::decompress(data, uncompressed).map_err(|_| BlockError::Data)?,
        UNCOMPRESSED => data.to_vec(),
        method => return Err(BlockError::Method(method)),
    };
    Ok(Some((CHECKSUM_BYTES + compressed, data)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(data: &[u8]) -> Vec<u8> {
        let lz4 = lz4_flex::compress(data);
        let mut sealed = vec![LZ4];
        sealed.extend(u32::try_from(lz4.len() + HEADER_BYTES).unwrap().to_le_bytes());
        sealed.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        sealed.extend(lz4);
        let checksum = cityhash_102_128(&sealed).rotate_left(64).to_le_bytes();
        [&checksum[..], &sealed].concat()
    }

    fn read(pieces: &[&[u8]]) -> Result<Vec<u8>, BlockError> {
        let mut blocks = Decompressor::default();
        let mut whole = Vec::new();
        for piece in pieces {
            blocks.push(piece, |b| {
                whole.extend_from_slice(b);
                Ok::<_, BlockError>(())
            })?;
        }
        blocks.finish()?;
        Ok(whole)
    }

    #[test]
    fn blocks_may_be_cut_anywhere() {
        let body = [block(b"first "), block(b""), block(b"second")].concat();
        for cut in 0..body.len() {
            assert_eq!(read(&[&body[..cut], &body[cut..]]).unwrap(), b"first second");
        }
    }

    #[test]
    fn a_broken_block_is_refused() {
        let body = block(b"some rows");
        assert_eq!(read(&[&body[..body.len() - 1]]), Err(BlockError::Unfinished));
        for at in 0..body.len() {
            let mut broken = body.clone();
            broken[at] ^= 1;
            assert!(read(&[&broken]).is_err(), "byte {at}");
        }
    }
}
