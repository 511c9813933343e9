//! Memory between pages that may not be touched.

/// On which side of its elements a slice has the forbidden page.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Side {
    Before,
    After,
}

/// Both.
pub(crate) const SIDES: [Side; 2] = [Side::Before, Side::After];

/// Elements in pages of their own, between two that may not be touched.
pub(crate) struct Guarded<T> {
    mapping: *mut libc::c_void,
    bytes: usize,
    start: *mut T,
    len: usize,
}

impl<T: Copy> Guarded<T> {
    pub(crate) fn new(elements: &[T], side: Side) -> Self {
        // SAFETY: asks for a number.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let size = size_of_val(elements);
        let inner = size.next_multiple_of(page).max(page);
        let bytes = inner + 2 * page;
        // SAFETY: a fresh mapping, wherever there is room.
        let mapping = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0)
        };
        assert_ne!(mapping, libc::MAP_FAILED);
        let offset = match side {
            Side::Before => page,
            Side::After => page + inner - size,
        };
        // SAFETY: the inner pages are within the mapping, and the elements within them, aligned, as a page is a multiple of
        // any alignment and a size one of its type's.
        let start = unsafe {
            let inner_start = mapping.byte_add(page);
            assert_eq!(libc::mprotect(inner_start, inner, libc::PROT_READ | libc::PROT_WRITE), 0);
            let start = mapping.byte_add(offset).cast::<T>();
            start.copy_from_nonoverlapping(elements.as_ptr(), elements.len());
            start
        };
        Self { mapping, bytes, start, len: elements.len() }
    }

    pub(crate) fn slice(&self) -> &[T] {
        // SAFETY: the elements that were written there.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    pub(crate) fn slice_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is this one's.
        unsafe { libc::munmap(self.mapping, self.bytes) };
    }
}

/// Whether a byte can be read, as the system sees it.
fn is_readable(byte: *const u8) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: two descriptors are written to an array of two; a write from an address that is not readable fails.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let written = libc::write(pipe[1], byte.cast(), 1);
        for end in pipe {
            libc::close(end);
        }
        written == 1
    }
}

#[test]
fn what_lies_beside_a_guarded_slice_is_out_of_reach() {
    for len in [1, 5, 4096, 5000] {
        let elements = vec![7u16; len];
        let after = Guarded::new(&elements, Side::After);
        let end = after.slice().as_ptr_range().end.cast::<u8>();
        assert_eq!((is_readable(end.wrapping_sub(1)), is_readable(end)), (true, false), "{len} elements");
        let before = Guarded::new(&elements, Side::Before);
        let start = before.slice().as_ptr().cast::<u8>();
        assert_eq!((is_readable(start), is_readable(start.wrapping_sub(1))), (true, false), "{len} elements");
        assert_eq!((after.slice(), before.slice()), (&elements[..], &elements[..]));
    }
}
