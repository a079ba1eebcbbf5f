//! What patterns take, without a server.
