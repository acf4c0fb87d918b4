//! twolane: the edge gateway in front of Dify plugin daemons.
