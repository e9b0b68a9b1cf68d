/*
 * One lock: tickets, the chain of predecessors, the watch of the head, hand-off, cancel and death at any step.
 *
 * What is shown, for every order of steps of a few attempts:
 *   exclusion    a conflicting pair never holds the lock together;
 *   wake-ups     there is no state in which somebody sleeps and nobody is going to wake him (see `Judge`);
 *   order        who had his ticket before another one arrived is served before him (a doorway), unless he left or died;
 *   nothing left an attempt that ended, whichever way, has no ticket, watch, connection, listener or lock.
 *
 * There are no safety polls here: were a wake-up ever missing, `Judge` would see it. Two timers are left, each for a
 * window inside of the kernel that ends by itself, and each usable in that window only:
 *   - the kernel reports the close of a file just before it frees the lock on it: `retrying`, the quick retries;
 *   - a dying process may close its listener before its tickets are freed: `refused`, the poll of who cannot connect.
 *
 * A step between two `;` outside of an `atomic` or `d_step` is one system call, or less.
 *
 * Configurations:  ATTEMPTS (3)  KILLS (how many processes may die)  PAIR (attempts 0 and 1 belong to one process)
 *   READERS (each attempt reads or writes)  PROBES (how many probes by waiters that were not woken for long)
 *   STRANGER (flock(1) comes once)  ONLY_UNLOCK (nobody closes a locked descriptor)
 * Mutations: each `#ifdef MUTATE_...` below; `verify/run.py` names what must find it.
 */
#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef PROBES
#define PROBES 0
#endif

/* Sets of attempts (or of processes, each named by its first attempt) are bits of a byte. */
#define BIT(i)          (1 << (i))
#define HAS(set, i)     ((set) & BIT(i))
#define ADD(set, i)     set = set | BIT(i)
#define DROP(set, i)    set = set & ~BIT(i)

#ifdef PAIR
#define HOME(i)         ((i) == 1 -> 0 : (i))
#define MEMBERS(p)      ((p) == 0 -> 3 : BIT(p))
#else
#define HOME(i)         (i)
#define MEMBERS(p)      BIT(p)
#endif
#define FLOCK_1         ATTEMPTS            /* the holder that is no grex */
#define NOBODY          255

/* ---- the kernel ---- */
byte held;                    /* who has the flock */
byte ticket[ATTEMPTS];        /* 4 * seq + process, as in the offset of the byte; 0: none */
byte listening;               /* processes with a listener */
byte link[ATTEMPTS];          /* 1 + the process to which this attempt is connected; 0: to none */
byte cut;                     /* attempts whose connection was ended from the other side */
byte watching;                /* attempts that watch the lock file */
byte event;                   /* watchers with an event to read */
byte closing;                 /* descriptors whose close was reported and whose lock is not free yet */
byte dead, dying;             /* processes that were killed; those of them whose resources are being freed */

chan kill[ATTEMPTS] = [0] of { bit };

/* ---- grex ---- */
byte front[ATTEMPTS];         /* path mutex of a process: 1 + who has it; */
byte behind[ATTEMPTS];        /*   1 + who waits for it (one at most here) */
byte guarded;                 /* processes in which somebody is inside of the path mutexes' own small lock */
byte lined;                   /* attempts that use their process's line: its description, its listener */
byte retrying;                /* attempts that read a close event and still try again by the clock */
byte asleep;

/* ---- the judge's notes ---- */
byte begun, queued, over;     /* arrived; has its ticket and was not served yet; ended */
byte ahead[ATTEMPTS];         /* who was queued, and conflicts, when this one arrived */
byte readers;
byte probes = PROBES;

byte j, best;                  /* scratch of one step, 0 between steps */

#define CONFLICT(a, b)  (!(HAS(readers, a) && HAS(readers, b)))
#define FREE_FOR(me)    (held == 0 || (HAS(readers, me) && (held & ~readers) == 0))
/* GETLK through the line's description shows only tickets of others. */
#define FOREIGN(a, b)   (HOME(a) != HOME(b))
#ifdef MUTATE_TIE_UNBROKEN
#define EARLIER(x, y)   ((x) / 4 <= (y) / 4)
#else
#define EARLIER(x, y)   ((x) < (y))
#endif

/* Whose tickets stand in the way of `me`. */
#if defined(MUTATE_READER_PASSES_WRITER)
#define MINDS(me, other) (!HAS(readers, me))
#elif defined(MUTATE_WRITER_PASSES_READER)
#define MINDS(me, other) (!HAS(readers, other))
#else
#define MINDS(me, other) CONFLICT(me, other)
#endif

inline nobody_queues(me, answer) {
    d_step {
        answer = true;
        for (j : 0 .. ATTEMPTS - 1) {
            if :: ticket[j] && FOREIGN(j, me) && MINDS(me, j) -> answer = false :: else fi
        };
        j = 0
    }
}

inline anybody_waits(answer) {
    d_step {
        answer = false;
        for (j : 0 .. ATTEMPTS - 1) {
            if :: ticket[j] -> answer = true :: else fi
        };
        j = 0
    }
}

/* The nearest foreign ticket before mine that conflicts. */
inline find_previous(me, previous) {
    d_step {
        best = 0; previous = NOBODY;
        for (j : 0 .. ATTEMPTS - 1) {
            if
            :: ticket[j] && FOREIGN(j, me) && MINDS(me, j) && EARLIER(ticket[j], ticket[me]) && ticket[j] > best ->
                best = ticket[j]; previous = j
            :: else
            fi
        };
        j = 0; best = 0
    }
}

inline end_connections(p) {
    for (j : 0 .. ATTEMPTS - 1) {
        if :: link[j] == (p) + 1 -> ADD(cut, j) :: else fi
    };
    j = 0
}

#define TOUCH           event = event | watching
#ifdef NO_QUICK_RETRIES
#define REPORT_CLOSE    event = event | watching
#else
#define REPORT_CLOSE    event = event | watching; retrying = retrying | watching
#endif

/* A watch that begins between the report of a close and the free lock gets no event for it: so the quick retries belong
   to the beginning of a watch as they do to an event. */
inline begin_watch(me) {
    d_step {
        ADD(watching, me);
#if !defined(NO_QUICK_RETRIES) && !defined(MUTATE_RETRIES_AFTER_EVENTS_ONLY)
        if :: closing -> ADD(retrying, me) :: else fi
#endif
    }
}

/* `me` is no longer in line: served, gone or dead. */
inline leaves_line(me) {
    DROP(queued, me);
    ahead[me] = 0;
    for (j : 0 .. ATTEMPTS - 1) {
        DROP(ahead[j], me)
    };
    j = 0
}

/* The grant: one non-blocking flock. What must be true of every grant is asserted in the same step. */
inline grant(me) {
    ADD(held, me);
#if PROBES == 0
    assert(ahead[me] == 0);                             /* order */
#endif
    leaves_line(me)
}

/* Steps of one process that its path mutexes' lock keeps apart. */
inline guard(me) {
    atomic { !HAS(guarded, HOME(me)) -> ADD(guarded, HOME(me)) }
}

inline hang_up(me) {
    link[me] = 0; DROP(cut, me)
}

/* The line of a process is closed when the last of its attempts is done with it. */
inline leave_line(me) {
    d_step {
        DROP(lined, me);
        if
        :: (lined & MEMBERS(HOME(me))) == 0 -> DROP(listening, HOME(me)); end_connections(HOME(me))
        :: else
        fi
    }
}

/* What a dying process still has. */
#define LOCK_FILE   1
#define LOCK        2
#define LINE        4
#define LISTENER    8

/* Who leaves frees the ticket first, and then ends the connections of those who watch it. */
inline drop_ticket(me) {
#ifdef MUTATE_WAKE_BEFORE_DROP
    d_step { end_connections(HOME(me)) };
    d_step { ticket[me] = 0; leaves_line(me) };
#else
    d_step { ticket[me] = 0; leaves_line(me) };
#ifndef MUTATE_DROP_WITHOUT_WAKE
    d_step { end_connections(HOME(me)) };
#endif
#endif
    leave_line(me)
}

proctype Attempt(byte me) {
    byte previous = NOBODY;
    byte number;
    bool clear, waiters;
    {
        /* Arrive: the path mutex of this process, and what stood in line at that moment. */
        atomic {
            !HAS(guarded, HOME(me)) ->
            ADD(begun, me);
            for (j : 0 .. ATTEMPTS - 1) {
                if :: HAS(queued, j) && CONFLICT(me, j) -> ADD(ahead[me], j) :: else fi
            };
            j = 0;
            if
            :: front[HOME(me)] == 0 -> front[HOME(me)] = me + 1
            :: else -> behind[HOME(me)] = me + 1; ADD(guarded, HOME(me)); goto take
            fi
        };

        /* A newcomer: with anybody in line, even a free lock is not for it. */
        atomic {
            nobody_queues(me, clear);
#ifndef MUTATE_NEWCOMER_PASSES_QUEUE
            if :: clear -> clear = false :: else -> goto enqueue fi
#else
            clear = false
#endif
        };
        atomic {
            if :: FREE_FOR(me) -> grant(me); goto hold :: else fi
        };

enqueue:
        guard(me);
take:
        atomic {
            ADD(lined, me);
#ifndef MUTATE_TICKET_BEFORE_LISTENER
            ADD(listening, HOME(me))
#endif
        };
        d_step {
            number = 0;
            for (j : 0 .. ATTEMPTS - 1) {
                if :: ticket[j] > number -> number = ticket[j] :: else fi
            };
            number = 4 * (number / 4 + 1) + HOME(me); j = 0
        };
        d_step { ticket[me] = number; number = 0; ADD(queued, me) };
#ifdef MUTATE_TICKET_BEFORE_LISTENER
        ADD(listening, HOME(me));
#endif
        /* Who was at the front and tried in vain goes behind those of its process who queued meanwhile: their tickets are
           before its own. */
        atomic {
            if
#ifndef MUTATE_FRONT_KEEPS_ITS_PLACE
            :: front[HOME(me)] == me + 1 && behind[HOME(me)] ->
                front[HOME(me)] = behind[HOME(me)]; behind[HOME(me)] = me + 1; DROP(asleep, front[HOME(me)] - 1)
#endif
            :: else
            fi;
            DROP(guarded, HOME(me));
            if :: front[HOME(me)] != me + 1 -> ADD(asleep, me) :: else fi
        };
        /* The turn within the process. */
        if
        :: front[HOME(me)] == me + 1
        :: DROP(asleep, me); goto leave                         /* cancelled, also in the tick of the grant */
        fi;

look:   /* also again, once it is connected to the process of the one before it */
        atomic {
            find_previous(me, previous);
            if
            :: previous == NOBODY -> goto head
            :: else
            fi;
            DROP(watching, me); DROP(event, me); DROP(retrying, me);
            if
            :: link[me] == 0 -> skip
            :: link[me] == HOME(previous) + 1 -> previous = NOBODY; ADD(asleep, me); goto behind_somebody
            :: else -> hang_up(me)
            fi
        };
        /* Somebody is before me: connect to his process, look once more, sleep. */
        atomic {
            if
            :: HAS(listening, HOME(previous)) ->
                link[me] = HOME(previous) + 1; previous = NOBODY;
#ifdef MUTATE_NO_SECOND_LOOK
                ADD(asleep, me)
#else
                goto look
#endif
            :: else ->      /* refused: look again by the clock; only a death takes the listener before the ticket */
                assert(ticket[previous] == 0 || HAS(dying, HOME(previous)));
                previous = NOBODY; goto look
            fi
        };
behind_somebody:
        if
        :: atomic { HAS(cut, me) -> DROP(asleep, me); hang_up(me) }; goto look
        :: DROP(asleep, me); goto leave                                             /* cancelled */
#if PROBES > 0
        :: atomic { probes > 0 && FREE_FOR(me) -> probes--; DROP(asleep, me); ADD(held, me) };
            DROP(held, me);                                     /* it is free: those before me are told of it */
#ifndef MUTATE_PROBE_WITHOUT_TOUCH
            TOUCH;
#endif
            goto look
        :: atomic { probes > 0 && FREE_FOR(me) -> probes--; DROP(asleep, me); grant(me) }; goto won  /* and still is */
#endif
        fi;

head:
        atomic {
            hang_up(me);
            if
#ifdef MUTATE_TICKETS_ALONE
            :: grant(me); goto won
#endif
            :: FREE_FOR(me) -> grant(me); goto won
            :: else -> if :: HAS(watching, me) -> goto doze :: else fi
            fi
        };
#ifndef MUTATE_WATCH_AFTER_LAST_TRY
        begin_watch(me);
#endif
        atomic {
            if :: FREE_FOR(me) -> grant(me); goto won :: else fi
        };
#ifdef MUTATE_WATCH_AFTER_LAST_TRY
        begin_watch(me);
#endif
doze:
        ADD(asleep, me);
        if
        :: atomic { HAS(event, me) -> DROP(event, me); DROP(asleep, me); goto look }
        :: atomic {
                HAS(retrying, me) -> DROP(asleep, me);
                /* The quick retries go on for longer than the kernel takes from the report to the free lock. */
                if :: closing == 0 -> DROP(retrying, me) :: else fi;
                goto look
            }
        :: DROP(asleep, me); goto leave                                             /* cancelled */
        fi;

won:    /* The flock is mine. Something may fail here (the file was replaced, its record cannot be written). */
        atomic { DROP(watching, me); DROP(event, me); DROP(retrying, me); hang_up(me) };
        if :: skip :: goto leave fi;

        /* Drop the ticket, then wake whoever waits for it. */
        guard(me);
        drop_ticket(me);
        DROP(guarded, HOME(me));

hold:
        assert(HAS(readers, me) || held == BIT(me));                                /* exclusion */
        assert(!HAS(readers, me) || (held & ~readers) == 0);

        /* Release. */
#ifdef MUTATE_TOUCH_BEFORE_UNLOCK
        anybody_waits(waiters);
        atomic { if :: waiters -> waiters = false; TOUCH :: else fi };
        DROP(held, me);
#else
#ifdef MUTATE_LOOK_BEFORE_UNLOCK
        anybody_waits(waiters);
        DROP(held, me);
#else
        DROP(held, me);
        anybody_waits(waiters);
#endif
#ifndef MUTATE_RELEASE_WITHOUT_TOUCH
        atomic { if :: waiters -> waiters = false; TOUCH :: else fi };
#endif
#endif
        goto leave_mutex;

leave:  /* Cancelled, timed out, failed: back from wherever it stands. */
        atomic { DROP(watching, me); DROP(event, me); DROP(retrying, me); hang_up(me) };
#ifndef MUTATE_CANCEL_KEEPS_LOCK
        if
        :: HAS(held, me) ->
            DROP(held, me);
            anybody_waits(waiters);
            atomic { if :: waiters -> waiters = false; TOUCH :: else fi }
        :: else
        fi;
#endif
        guard(me);
#ifdef MUTATE_CANCEL_KEEPS_TICKET
        d_step { leaves_line(me) };
#else
        if :: HAS(lined, me) -> drop_ticket(me) :: else fi;
#endif
        DROP(guarded, HOME(me));
#ifdef MUTATE_CANCEL_KEEPS_GRANT
        if :: front[HOME(me)] == me + 1 -> goto ended :: else fi;
#endif

leave_mutex:
        atomic {
            !HAS(guarded, HOME(me)) ->
            if
            :: behind[HOME(me)] == me + 1 -> behind[HOME(me)] = 0
            :: else ->
                front[HOME(me)] = behind[HOME(me)]; behind[HOME(me)] = 0;
                if :: front[HOME(me)] -> DROP(asleep, front[HOME(me)] - 1) :: else fi
            fi;
ended:
            assert(ticket[me] == 0 && link[me] == 0);                               /* nothing left */
            assert(!HAS(held | watching | event | retrying | cut | lined | asleep | queued, me));
            assert(front[HOME(me)] != me + 1 && behind[HOME(me)] != me + 1);
            assert((lined & MEMBERS(HOME(me))) || !HAS(listening, HOME(me)));
            ADD(over, me)
        }
    } unless {
        if
        :: atomic { HAS(dead, HOME(me)) -> goto gone }
#if KILLS > 0
        :: atomic {
                kill[me] ? _ ->
                ADD(dead, HOME(me)); ADD(dying, HOME(me));
                for (number : 0 .. ATTEMPTS - 1) {
                    if :: HAS(MEMBERS(HOME(me)), number) -> leaves_line(number) :: else fi
                };
                watching = watching & ~MEMBERS(HOME(me)); event = event & ~MEMBERS(HOME(me));
                retrying = retrying & ~MEMBERS(HOME(me)); asleep = asleep & ~MEMBERS(HOME(me));
                previous = NOBODY; clear = false; waiters = false;
                number = LOCK_FILE | LINE | LISTENER
            };
#endif
        fi;
        /* The kernel frees what the process had, descriptor after descriptor, in any order. */
        do
        :: atomic {
                number & LOCK_FILE ->                   /* the close is reported first ... */
                REPORT_CLOSE;
                number = number & ~LOCK_FILE;
                if :: held & MEMBERS(HOME(me)) -> number = number | LOCK; closing++ :: else fi
            }
        :: atomic {                                     /* ... then the lock is freed */
                number & LOCK ->
                held = held & ~MEMBERS(HOME(me)); closing--; number = number & ~LOCK
            }
        :: atomic {
                number & LINE ->
                number = number & ~LINE;
                for (j : 0 .. ATTEMPTS - 1) {
                    if :: HAS(MEMBERS(HOME(me)), j) -> ticket[j] = 0 :: else fi
                };
                j = 0
            }
        :: atomic {
                number & LISTENER ->
                DROP(listening, HOME(me)); end_connections(HOME(me)); number = number & ~LISTENER
            }
        :: atomic {
                number == 0 ->
                for (j : 0 .. ATTEMPTS - 1) {
                    if :: HAS(MEMBERS(HOME(me)), j) -> hang_up(j) :: else fi
                };
                j = 0;
                front[HOME(me)] = 0; behind[HOME(me)] = 0; DROP(guarded, HOME(me));
                lined = lined & ~MEMBERS(HOME(me));
                begun = begun | MEMBERS(HOME(me)); over = over | MEMBERS(HOME(me));
                DROP(dying, HOME(me));
                break
            }
        od
    };
gone:
    atomic { previous = NOBODY; number = 0; clear = false; waiters = false }
}

#if KILLS > 0
/* SIGKILL, for anybody who came and has not ended. */
#define KILLABLE(i)     (left > 0 && HAS(begun, i) && !HAS(over, i) && !HAS(dead, HOME(i)))

proctype Killer() {
    byte left = KILLS;
end_calm:
    do
    :: atomic { KILLABLE(0) -> left--; kill[0] ! 0 }
    :: atomic { KILLABLE(1) -> left--; kill[1] ! 0 }
#if ATTEMPTS > 2
    :: atomic { KILLABLE(2) -> left--; kill[2] ! 0 }
#endif
#if ATTEMPTS > 3
    :: atomic { KILLABLE(3) -> left--; kill[3] ! 0 }
#endif
    od
}
#endif

#ifdef STRANGER
/* flock(1): knows of no line, takes the lock when it is free, and frees it by the end of its process. */
proctype Stranger() {
end_away:
    atomic { held == 0 -> ADD(held, FLOCK_1) };
    atomic { REPORT_CLOSE; closing++ };
    atomic { DROP(held, FLOCK_1); closing-- }
}
#endif

/* Lost: somebody sleeps; nobody is awake, has a wake-up on its way, or will free anything. Who has not come yet may
   never come. */
#define AWAKE   (begun & ~over & ~(asleep & ~(event | cut | retrying)))
#define LOST    (asleep != 0 && AWAKE == 0 && dying == 0 && !HAS(held, FLOCK_1))

proctype Judge() {
end_watching:
    atomic { LOST -> assert(!LOST) }
}

init {
    byte i;
    atomic {
#ifdef READERS
        for (i : 0 .. ATTEMPTS - 1) {
            if :: ADD(readers, i) :: skip fi
        };
#endif
        for (i : 0 .. ATTEMPTS - 1) {
            run Attempt(i)
        };
#ifdef STRANGER
        run Stranger();
#endif
#if KILLS > 0
        run Killer();
#endif
        run Judge();
        i = 0
    }
}
