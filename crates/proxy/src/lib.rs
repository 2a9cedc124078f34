//! Service hosts: from a request for a name to bytes of the app.
