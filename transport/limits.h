/* Every bound of the transport, with its reason. Times in milliseconds unless the name says otherwise. */
#pragma once

/* Connections that have not authenticated yet: enough for a restart of a large consortium, too few to exhaust
 * descriptors. More are parked unread, not refused: sites may sit behind one address or a load balancer. */
#define LIMIT_UNAUTHENTICATED 64
#define LIMIT_UNAUTHENTICATED_PER_ADDRESS 8
/* Of the parked ones so many may be of one address; its next one is closed at once. When half of all
 * connections are not authenticated, the address with the most parked ones loses its oldest for each
 * newcomer. */
#define LIMIT_PARKED_PER_ADDRESS 32
/* All connections of one process; above it the listener leaves the poll set until one closes. */
#define LIMIT_CONNECTIONS 1024
/* TLS handshake and first valid frame, from accept, absolute: a slow drip cannot hold a place longer. */
#define LIMIT_HANDSHAKE_MS 10000
/* One message from a peer that no list names (lobby): a job is a few KiB. */
#define LIMIT_LOBBY_MESSAGE (64u * 1024u)
/* One message from a listed peer: 33 million float64 parameters. */
#define LIMIT_MESSAGE (256u * 1024u * 1024u)
/* ZMTP commands (READY and the like) are tiny in practice. */
#define LIMIT_COMMAND 256
/* Bytes of large messages that have begun to arrive, in all connections together: a connection whose next
 * bytes do not fit stays unread. Half of it is for the message that was announced first, so that one can
 * always be finished. */
#define LIMIT_REASSEMBLY (512u * 1024u * 1024u)
/* A large message takes its part of LIMIT_REASSEMBLY in steps of this size, as it arrives. */
#define LIMIT_REASSEMBLY_STEP (1024u * 1024u)
/* A message over the lobby's size has to bring this much in each LIMIT_DEAD_MS while it is read (6 KB a
 * second), so that a peer cannot hold its part of LIMIT_REASSEMBLY with a byte now and then. */
#define LIMIT_SLOWEST_BYTES (256u * 1024u)
/* While another connection waits for room: in each LIMIT_HANDSHAKE_MS this much (100 KB a second). */
#define LIMIT_SLOWEST_PRESSED_BYTES (1024u * 1024u)
/* A signed PING keeps a quiet connection alive; a peer silent for three of them is dead. */
#define LIMIT_PING_MS 15000
#define LIMIT_DEAD_MS 45000
/* TCP keepalive (a dead link) and user timeout (a link that stops acknowledging), both needed beside PING. */
#define LIMIT_KEEPALIVE_IDLE_S 15
#define LIMIT_KEEPALIVE_INTERVAL_S 5
#define LIMIT_KEEPALIVE_COUNT 4
#define LIMIT_TCP_USER_TIMEOUT_MS 45000
/* session_close waits this long for peers to answer a goodbye by hanging up. */
#define LIMIT_CLOSING_MS 500
/* Dialling again: exponential with full jitter. */
#define LIMIT_BACKOFF_MIN_MS 500
#define LIMIT_BACKOFF_MAX_MS 30000
/* Certificates of live connections are looked at again this often (expiry, revocation list). */
#define LIMIT_RECHECK_MS 60000
/* Clocks of two nodes may differ by this much before messages are refused. */
#define LIMIT_CLOCK_SKEW_S 300
/* Requests to one peer that have no answer yet: small ones in all, and of messages over the lobby's size one.
 */
#define LIMIT_OUTSTANDING 8
