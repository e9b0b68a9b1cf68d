/*
 * All locks of several processes: tiers, path mutex, kernel lock, cancel, SIGKILL.
 *
 * Each task takes any locks it likes, upwards only, and gives them back in reverse. What is shown, for every order of
 * steps of three tasks (0 and 1 in one process, 2 in another):
 *   exclusion    no lock has two holders, and no git writes below a BACKEND that somebody else holds;
 *   one asks     of the tasks of one process, one at a time asks the kernel for a lock: the one that has the path mutex;
 *   no deadlock  there is no state in which everybody who has not ended waits for somebody else (see `Judge`);
 *   nothing left who ended, was cancelled or died has no kernel lock, no path mutex, no permit and no place in a queue.
 *
 * That a wait for the kernel's lock ends when it comes free is what `queue.pml` shows; here it does.
 *
 * Configurations:  KILLS (how many processes may die)
 *   NESTED (task 2 is a command that task 0 starts and waits for, holding what it holds)
 * Mutations: each `#ifdef MUTATE_...` below; `verify/run.py` names what must find it.
 */
#ifndef KILLS
#define KILLS 0
#endif
#ifndef TASKS
#define TASKS 3
#endif

#define BIT(i)          (1 << (i))
#define HAS(set, i)     ((set) & BIT(i))
#define ADD(set, i)     set = set | BIT(i)
#define DROP(set, i)    set = set & ~BIT(i)

#if TASKS > 2
#define HOME(t)         ((t) / 2)           /* tasks 0 and 1, task 2 */
#define MEMBERS(p)      ((p) == 0 -> 3 : 4)
#else
#define HOME(t)         (t)
#define MEMBERS(p)      BIT(p)
#endif

#define COMMAND         (TASKS - 1)         /* what NESTED starts, a process of its own */

/* Locks in the order in which they are taken; two packs share a tier. */
#define WORKSPACE       0
#define PERMIT          1                   /* in the process only: a pool of one */
#define PACK_A          2
#define PACK_B          3
#define BACKEND         4
#define MANIFEST        5
#define LOCKS           6
#define TIER(lock)      ((lock) < PACK_B -> (lock) : (lock) - 1)

/* ---- the kernel ---- */
byte owner[LOCKS];              /* 1 + the task whose description has the flock */
byte git;                       /* 1 + the task whose git writes below BACKEND; it has the description, too */
byte dead, dying;               /* processes */
chan kill[TASKS] = [0] of { bit };

/* ---- grex: the path mutex of a lock, in each process ---- */
#define MUTEX(t, lock)  (HOME(t) * LOCKS + (lock))
byte front[2 * LOCKS];          /* 1 + the task that has it */
byte behind[2 * LOCKS];         /* 1 + the task that waits for it (one at most: a process has two tasks) */

/* ---- the judge's notes ---- */
byte begun, over;
byte queueing;                  /* waits for a path mutex */
byte asking;                    /* waits for the kernel's lock ... */
byte wants[TASKS];              /* ... on this */
byte parent;                    /* waits for the command that it started */
byte above;                     /* the lowest tier that the command may take, as it is told */
byte j;                         /* scratch of one step, 0 between steps */

#define FREE(lock)      (owner[lock] == 0)

/* One call of the kernel that does not wait, when it succeeds. */
inline grant(me, lock) {
    owner[lock] = me + 1;
    assert((lock) != BACKEND || git == 0);
    DROP(asking, me); wants[me] = 0
}

inline enter(me, lock) {
    if
    :: front[MUTEX(me, lock)] == 0 -> front[MUTEX(me, lock)] = me + 1
    :: else ->
        assert(behind[MUTEX(me, lock)] == 0);
        behind[MUTEX(me, lock)] = me + 1; ADD(queueing, me)
    fi
}

/* Ends a place in the queue, or passes the mutex on. */
inline leave(me, lock) {
    if
    :: behind[MUTEX(me, lock)] == me + 1 -> behind[MUTEX(me, lock)] = 0; DROP(queueing, me)
    :: front[MUTEX(me, lock)] == me + 1 ->
        front[MUTEX(me, lock)] = behind[MUTEX(me, lock)]; behind[MUTEX(me, lock)] = 0;
        if :: front[MUTEX(me, lock)] -> DROP(queueing, front[MUTEX(me, lock)] - 1) :: else fi
    :: else
    fi
}

inline unlock(me, lock) {
#ifdef MUTATE_CLOSE_WITHOUT_UNLOCK
    if :: owner[lock] = 0 :: skip fi        /* a forked child has the description as well */
#else
    owner[lock] = 0
#endif
}

/* Which lock comes next: any above the last one. */
inline choose(me, tier, lock) {
    if
#ifdef ALL_TIERS
    :: tier <= 0 -> lock = WORKSPACE; tier = 1
#endif
    :: tier <= 1 -> lock = PERMIT; tier = 2
    :: tier <= 2 -> lock = PACK_A; tier = 3
    :: tier <= 2 -> lock = PACK_B; tier = 3
#ifdef MUTATE_TWO_PACKS
    :: tier == 3 && HAS(mine, PACK_A) && !HAS(mine, PACK_B) -> lock = PACK_B
    :: tier == 3 && HAS(mine, PACK_B) && !HAS(mine, PACK_A) -> lock = PACK_A
#endif
    :: tier <= 3 -> lock = BACKEND; tier = 4
#ifdef MUTATE_SWAPPED_TIERS
    :: tier == 4 && HAS(mine, BACKEND) && !HAS(mine, PACK_A) -> lock = PACK_A
#endif
#ifdef MUTATE_PERMIT_INSIDE_PACK
    :: tier == 3 && !HAS(mine, PERMIT) -> lock = PERMIT
#endif
#ifdef ALL_TIERS
    :: tier <= 4 -> lock = MANIFEST; tier = 5
#endif
#ifdef NESTED
    :: me == COMMAND && mine == 0 && tier > 1 -> lock = PERMIT      /* of its own run, whatever is held above */
#endif
    :: lock = LOCKS                         /* enough */
    fi
}

/* What a dying process still has. */
#define OF(me, number)  ((number) && HOME((number) - 1) == HOME(me))
#define LEFT(me)        (OF(me, owner[WORKSPACE]) || OF(me, owner[PACK_A]) || OF(me, owner[PACK_B]) || \
                         OF(me, owner[BACKEND]) || OF(me, owner[MANIFEST]) || OF(me, git))

proctype Task(byte me) {
    byte tier;                  /* the lowest that may be taken now */
    byte lock;
    byte mine;                  /* what is held */
end_uncalled:
    {
        atomic {
#ifdef NESTED
            me != COMMAND || above;
#ifndef MUTATE_NESTED_UNTOLD
            if :: me == COMMAND -> tier = above :: else fi;
#endif
#endif
            ADD(begun, me)
        };
more:
        atomic {
            choose(me, tier, lock);
            if
            :: lock == LOCKS -> lock = 0; goto work
            :: else
            fi;
#ifdef MUTATE_KERNEL_BEFORE_MUTEX
            if :: me == 1 && lock != PERMIT -> goto kernel_first :: else fi;
#endif
            enter(me, lock)
        };
        if
        :: atomic {
                front[MUTEX(me, lock)] == me + 1 ->
                if
                :: lock == PERMIT -> ADD(mine, lock); goto more
                :: else
                fi;
                /* One asks: nobody else of this process has the lock or asks for it. */
                for (j : 0 .. TASKS - 1) {
                    assert(j == me || HOME(j) != HOME(me) || owner[lock] != j + 1);
                    assert(j == me || HOME(j) != HOME(me) || !HAS(asking, j) || wants[j] != lock)
                };
                j = 0;
                ADD(asking, me); wants[me] = lock
            }
        :: atomic { goto undo }                                 /* also in the tick of the grant */
        fi;
        if
#ifdef MUTATE_MUTEX_ALONE
        :: atomic { grant(me, lock); ADD(mine, lock); goto more }
#else
        :: atomic { FREE(lock) -> grant(me, lock); ADD(mine, lock); goto more }
#endif
        :: atomic { DROP(asking, me); wants[me] = 0; goto undo }
        fi;
#ifdef MUTATE_KERNEL_BEFORE_MUTEX
kernel_first:
        atomic { ADD(asking, me); wants[me] = lock };
        atomic { FREE(lock) -> grant(me, lock) };
        atomic { enter(me, lock) };
        atomic { front[MUTEX(me, lock)] == me + 1 -> ADD(mine, lock); goto more };
#endif

work:
        assert(!HAS(mine, WORKSPACE) || owner[WORKSPACE] == me + 1);            /* exclusion */
        assert(!HAS(mine, PACK_A) || owner[PACK_A] == me + 1);
        assert(!HAS(mine, PACK_B) || owner[PACK_B] == me + 1);
        assert(!HAS(mine, MANIFEST) || owner[MANIFEST] == me + 1);
        if
        :: HAS(mine, BACKEND) ->
            assert(owner[BACKEND] == me + 1);
            git = me + 1;
            git = 0                                             /* it has ended before the lock is freed */
        :: skip
        fi;
#ifdef NESTED
        if
        :: me == 0 && mine ->
            atomic { above = tier; tier = 0; ADD(parent, me) };
            atomic { HAS(over, COMMAND) || HAS(dead, 1) -> DROP(parent, me) }
        :: else
        fi;
#endif
        atomic { tier = 0; goto release };

undo:   /* Cancelled: the place in the queue or the mutex of what was being taken, then all that is held. */
        atomic {
#ifdef MUTATE_CANCEL_KEEPS_GRANT
            if
            :: front[MUTEX(me, lock)] == me + 1
            :: else -> leave(me, lock)
            fi;
#else
#ifdef MUTATE_CANCEL_KEEPS_PLACE
            if
            :: behind[MUTEX(me, lock)] == me + 1 -> DROP(queueing, me)
            :: else -> leave(me, lock)
            fi;
#else
            leave(me, lock);
#endif
#endif
            DROP(mine, lock); lock = 0; tier = 0
        };
release:
        do
        :: mine == 0 -> break
        :: else ->
            atomic {
                lock = LOCKS - 1;
                do
                :: HAS(mine, lock) -> break
                :: else -> lock--
                od
            };
#ifdef MUTATE_MUTEX_BEFORE_KERNEL
            atomic { leave(me, lock) };
            if :: lock != PERMIT -> unlock(me, lock) :: else fi;
            DROP(mine, lock)
#else
            if :: lock != PERMIT -> unlock(me, lock) :: else fi;
            atomic { leave(me, lock); DROP(mine, lock); lock = 0 }
#endif
        od;
        atomic {
            for (j : 0 .. LOCKS - 1) {                                          /* nothing left */
                assert(owner[j] != me + 1);
                assert(front[MUTEX(me, j)] != me + 1 && behind[MUTEX(me, j)] != me + 1)
            };
            j = 0; tier = 0; lock = 0;
            assert(!HAS(queueing | asking | parent, me));
            ADD(over, me)
        }
    } unless {
        if
        :: atomic { HAS(dead, HOME(me)) -> goto gone }
#if KILLS > 0
        :: atomic {
                kill[me] ? _ ->
                ADD(dead, HOME(me)); ADD(dying, HOME(me));
                /* Its memory is gone at once: mutexes, permits, whoever waited. */
                for (j : 0 .. LOCKS - 1) {
                    front[MUTEX(me, j)] = 0; behind[MUTEX(me, j)] = 0
                };
                queueing = queueing & ~MEMBERS(HOME(me)); asking = asking & ~MEMBERS(HOME(me));
                parent = parent & ~MEMBERS(HOME(me));
                for (j : 0 .. TASKS - 1) {
                    if :: HOME(j) == HOME(me) -> wants[j] = 0 :: else fi
                };
                j = 0; tier = 0; lock = 0; mine = 0
            }
#endif
        fi;
        /* Its descriptors are closed in any order. BACKEND is kept by a git that lives on, until that ends. */
        do
        :: atomic { OF(me, owner[WORKSPACE]) -> owner[WORKSPACE] = 0 }
        :: atomic { OF(me, owner[PACK_A]) -> owner[PACK_A] = 0 }
        :: atomic { OF(me, owner[PACK_B]) -> owner[PACK_B] = 0 }
        :: atomic { OF(me, owner[MANIFEST]) -> owner[MANIFEST] = 0 }
#ifdef MUTATE_BACKEND_NOT_INHERITED
        :: atomic { OF(me, owner[BACKEND]) -> owner[BACKEND] = 0 }
#else
        :: atomic { OF(me, owner[BACKEND]) && git != owner[BACKEND] -> owner[BACKEND] = 0 }
#endif
        :: atomic { OF(me, git) -> git = 0 }
        :: atomic {
                !LEFT(me) ->
                begun = begun | MEMBERS(HOME(me)); over = over | MEMBERS(HOME(me));
                DROP(dying, HOME(me));
                break
            }
        od
    };
gone:
    atomic { tier = 0; lock = 0; mine = 0 }
}

#if KILLS > 0
/* SIGKILL, for a process with a task that came and has not ended. */
#define KILLABLE(t)     (left > 0 && HAS(begun, t) && !HAS(over, t) && !HAS(dead, HOME(t)))

proctype Killer() {
    byte left = KILLS;
end_calm:
    do
    :: atomic { KILLABLE(0) -> left--; kill[0] ! 0 }
    :: atomic { KILLABLE(1) -> left--; kill[1] ! 0 }
#if TASKS > 2
    :: atomic { KILLABLE(2) -> left--; kill[2] ! 0 }
#endif
    od
}
#endif

/* Stuck: somebody waits, and everybody who has come and not ended does. Who has not come yet may never come. */
#define WAITS(t)        (HAS(queueing, t) || (HAS(asking, t) && !FREE(wants[t])) || \
                         (HAS(parent, t) && !HAS(over, COMMAND) && !HAS(dead, 1)))
#ifdef NESTED
#define COMES(t)        (HAS(begun, t) || ((t) == COMMAND && above))
#else
#define COMES(t)        HAS(begun, t)
#endif
#define QUIET(t)        (!COMES(t) || HAS(over, t) || WAITS(t))
#if TASKS > 2
#define STUCK           (QUIET(0) && QUIET(1) && QUIET(2) && (WAITS(0) || WAITS(1) || WAITS(2)) && dying == 0)
#else
#define STUCK           (QUIET(0) && QUIET(1) && (WAITS(0) || WAITS(1)) && dying == 0)
#endif

proctype Judge() {
end_watching:
    atomic { STUCK -> assert(!STUCK) }
}

init {
    atomic {
        run Task(0);
        run Task(1);
#if TASKS > 2
        run Task(2);
#endif
#if KILLS > 0
        run Killer();
#endif
        run Judge()
    }
}
