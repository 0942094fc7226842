//! The disk seam over glommio: carries out single operations with O_DIRECT on io_uring.
