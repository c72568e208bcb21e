// The job queue in Redis: what is kept, and the steps that change it
//
// All keys begin with one prefix whose tag puts them into one slot of a cluster, `{headwater:jobs}:`. Below it:
//
//   job:ID             hash     the row: the draft, and how far it is. The truth; all below follows from it
//   seq                number   of the last job that was added
//   all                zset     seq → ID
//   state:N            zset     seq → ID, of the jobs in that state (numbers of JobState)
//   asset:SITE/ASSET   zset     seq → ID
//   dependants:ID      set      of the jobs that wait for it, whatever state they are in
//   delayed            zset     not before → ID, pending
//   line:SITE/KIND/P   stream   pending and ready, or being worked on; group `w`. Entry: id, rank
//   lines              set      of SITE/KIND/P, streams with entries
//   running, turns     hash     by site: jobs under way; the number of its last claim
//   counts             hash     by STATE/KIND: how many jobs
//
// Each step is one script, so it happens as a whole, and its time is the server's, the one clock that all machines share.
//
// A claim delivers an entry of a line to its owner (XREADGROUP) and writes owner, fence and lease into the row. The entry stays
// in the group's list of what is pending until the job has ended. A heartbeat prolongs the lease and resets the entry's
// idle time (XCLAIM … JUSTID). Entries that have been idle for a lease are found by XAUTOCLAIM, which every claim begins with:
// such a job goes back into its line, or fails when it has had its attempts. Between finding and giving back lies no step of
// anybody else's.
//
// Who comes late is told by the fence, which grows with each claim: every step of a worker names it and does nothing where it is
// another one. It is the time of the claim in milliseconds, or one more than the last: so it grows even where Redis has lost
// what it knew, and what an origin has written down of earlier claims stays behind it.
//
// What a crash of Redis leaves is what its persistence has written: with `appendfsync everysec` up to a second of steps is
// lost, as a whole each, and workers whose claim is lost find their fence wrong. `maxmemory-policy` must be `noeviction`.

import Net

/// The Lua of the queue.
enum RedisJobScripts {
  static let enqueue = script(
    """
    local ids, error = add(1)
    if error then return redis.error_reply(error) end
    local rows = {}
    for i, id in ipairs(ids) do rows[i] = redis.call('HGETALL', K('job:' .. id)) end
    return rows
    """)

  /// ARGV: owner, then site and kind of each offer.
  static let claim = script(
    """
    take_back(ARGV[1])
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', K('delayed'), '-inf', now, 'LIMIT', 0, 256)) do
      redis.call('ZREM', K('delayed'), id)
      set(id, 'not_before', 0)
      place(id)
    end
    while true do
      local best
      for _, name in ipairs(redis.call('SMEMBERS', K('lines'))) do
        local site, kind = string.match(name, '^(.*)/(.*)/%d+$')
        local offered = false
        for i = 2, #ARGV, 2 do
          if ARGV[i] == site and ARGV[i + 1] == kind then offered = true end
        end
        local head = offered and head_of(name)
        if head then
          local running = tonumber(redis.call('HGET', K('running'), site) or 0)
          local turn = tonumber(redis.call('HGET', K('turns'), site) or 0)
          local is_better = not best or running < best.running
            or running == best.running and (turn < best.turn or turn == best.turn and head < best.rank)
          if is_better then best = {name = name, site = site, running = running, turn = turn, rank = head} end
        end
      end
      if not best then return false end
      local read = redis.call('XREADGROUP', 'GROUP', 'w', ARGV[1], 'COUNT', 1, 'STREAMS', K('line:' .. best.name), '>')
      local entry = read[1][2][1][1]
      local id = read[1][2][1][2][2]
      local row = get(id)
      if row and row.state == PENDING and row.entry == entry then
        move(id, row, PROCESSING)
        set(id, 'attempt', row.attempt + 1, 'fence', math.max(row.fence + 1, now), 'owner', ARGV[1], 'lease_until', now + lease,
          'started', now, 'updated', now, 'permille', 0, 'note', '')
        redis.call('HSET', K('turns'), row.site, redis.call('HINCRBY', K('turns'), '', 1))
        return redis.call('HGETALL', K('job:' .. id))
      end
      forget(best.name, entry)
    end
    """)

  /// ARGV: id, fence, permille, note.
  static let heartbeat = script(
    """
    local standing, row = stands(ARGV[1], ARGV[2])
    if standing ~= 'held' then return standing end
    set(ARGV[1], 'lease_until', now + lease, 'updated', now, 'permille', ARGV[3], 'note', ARGV[4])
    redis.call('XCLAIM', K('line:' .. line(row)), 'w', row.owner, 0, row.entry, 'IDLE', 0, 'JUSTID')
    return standing
    """)

  /// ARGV: id, fence.
  static let standing = script("return (stands(ARGV[1], ARGV[2]))")

  /// ARGV: id, fence.
  static let release = script(
    """
    local standing, row = stands(ARGV[1], ARGV[2])
    if standing ~= 'held' then return 0 end
    put_back(ARGV[1], row)
    set(ARGV[1], 'attempt', math.max(0, row.attempt - 1))
    place(ARGV[1])
    return 1
    """)

  /// ARGV: id, fence, result, kept blobs, then the follow-ups as for `enqueue`.
  static let finish = script(
    """
    local standing, row = stands(ARGV[1], ARGV[2])
    if row and row.state == COMPLETED then return {'completed'} end
    if standing ~= 'held' then return {standing, row and row.error_code or '', row and row.error_message or ''} end
    local _, error = check(5)
    if error then return redis.error_reply(error) end
    forget(line(row), row.entry)
    move(ARGV[1], row, COMPLETED)
    set(ARGV[1], 'result', ARGV[3], 'kept', ARGV[4], 'owner', '', 'lease_until', 0, 'permille', 1000, 'note', '',
      'updated', now, 'entry', '', 'error_code', '', 'error_message', '', 'error_log', '')
    for _, id in ipairs(redis.call('SMEMBERS', K('dependants:' .. ARGV[1]))) do
      local other = get(id)
      if other and other.state == PENDING and other.unmet > 0 then
        set(id, 'unmet', other.unmet - 1, 'updated', now)
        place(id)
      end
    end
    add(5)
    return {'completed'}
    """)

  /// ARGV: id, fence, kind of failure, milliseconds to wait, a random number below 2^31, code, message, log, most attempts, most
  /// crashes.
  static let fail = script(
    """
    local id = ARGV[1]
    local standing, row = stands(id, ARGV[2])
    if standing ~= 'held' then return false end
    local kind, attempt, crashes = ARGV[3], row.attempt, row.crashes
    local ceiling = math.min(900000, 5000 * 2 ^ math.min(10, math.max(1, attempt) - 1))
    local backoff = 1 + math.floor(tonumber(ARGV[5]) / 2 ^ 31 * ceiling)
    local wait
    if kind == 'postponed' then
      attempt = math.max(0, attempt - 1)
      wait = math.max(1, tonumber(ARGV[4]))
    elseif kind == 'retryable' then
      if attempt < tonumber(ARGV[9]) then wait = backoff end
    elseif kind == 'crashed' then
      crashes = crashes + 1
      if crashes < tonumber(ARGV[10]) and attempt < tonumber(ARGV[9]) then wait = backoff end
    end
    set(id, 'attempt', attempt, 'crashes', crashes)
    if wait then
      put_back(id, row)
      set(id, 'not_before', now + wait, 'error_code', ARGV[6], 'error_message', ARGV[7], 'error_log', ARGV[8])
      place(id)
    else
      finish_as(id, FAILED, ARGV[6], ARGV[7], ARGV[8])
    end
    return redis.call('HGETALL', K('job:' .. id))
    """)

  /// ARGV: id.
  static let cancel = script(
    """
    local row = get(ARGV[1])
    if not row then return false end
    if row.state == PENDING or row.state == PROCESSING or row.state == FAILED then
      finish_as(ARGV[1], CANCELLED, 'cancelled', 'It was cancelled.', row.error_log)
    end
    return redis.call('HGETALL', K('job:' .. ARGV[1]))
    """)

  /// ARGV: id. With it begins anew whatever it waits for, and whatever ended because of one of these.
  static let retry = script(
    """
    local row = get(ARGV[1])
    if not row then return false end
    if row.state == FAILED or row.state == CANCELLED then
      local chosen, order, walk = {[ARGV[1]] = true}, {ARGV[1]}, {ARGV[1]}
      while #walk > 0 do
        local id = table.remove(walk)
        local near = words(get(id).dependencies)
        for _, other in ipairs(redis.call('SMEMBERS', K('dependants:' .. id))) do
          local code = redis.call('HGET', K('job:' .. other), 'error_code')
          if code == 'dependency-failed' or code == 'dependency-cancelled' then near[#near + 1] = other end
        end
        for _, other in ipairs(near) do
          local that = not chosen[other] and get(other)
          if that and (that.state == FAILED or that.state == CANCELLED) then
            chosen[other] = true
            order[#order + 1] = other
            walk[#walk + 1] = other
          end
        end
      end
      for _, id in ipairs(order) do
        move(id, get(id), PENDING)
        set(id, 'attempt', 0, 'crashes', 0, 'not_before', 0, 'owner', '', 'lease_until', 0, 'permille', 0, 'note', '',
          'updated', now, 'entry', '', 'error_code', '', 'error_message', '', 'error_log', '')
      end
      for _, id in ipairs(order) do
        settle(id)
        place(id)
      end
    end
    return redis.call('HGETALL', K('job:' .. ARGV[1]))
    """)

  /// ARGV: the list (`all`, `state:N` or `asset:…`), the sequence below which to begin (or `+inf`), how many.
  static let list = script(
    """
    local rows = {}
    for i, id in ipairs(redis.call('ZREVRANGEBYSCORE', K(ARGV[1]), ARGV[2], '-inf', 'LIMIT', 0, ARGV[3])) do
      rows[i] = redis.call('HGETALL', K('job:' .. id))
    end
    return rows
    """)

  /// How many jobs by STATE/KIND; and by kind, when the one that is next was added.
  static let figures = script(
    """
    local next = {}
    for _, name in ipairs(redis.call('SMEMBERS', K('lines'))) do
      local kind, priority = string.match(name, '^.*/(.*)/(%d+)$')
      local head = head_of(name)
      local created = head and head - priority * 60000
      if created and (not next[kind] or created < next[kind]) then next[kind] = created end
    end
    local flat = {}
    for kind, created in pairs(next) do
      flat[#flat + 1] = kind
      flat[#flat + 1] = string.format('%.0f', created)
    end
    return {redis.call('HGETALL', K('counts')), flat}
    """)

  /// How many arguments each draft is.
  static let draftArguments = 12

  /// ARGV: id, fence, code, message: what the work was for is no more.
  static let abandon = script(
    """
    local standing, row = stands(ARGV[1], ARGV[2])
    if standing ~= 'held' then return {standing, row and row.error_code or '', row and row.error_message or ''} end
    finish_as(ARGV[1], CANCELLED, ARGV[3], ARGV[4], '')
    return {'cancelled', ARGV[3], ARGV[4]}
    """)

  /// ARGV: age in milliseconds, how many of each state are looked at. Nothing goes that a job needs that stays.
  static let purge = script(
    """
    local removed = 0
    for state = COMPLETED, CANCELLED do
      for _, id in ipairs(redis.call('ZRANGE', K('state:' .. state), 0, ARGV[2] - 1)) do
        local row = get(id)
        local is_needed = false
        for _, dependant in ipairs(redis.call('SMEMBERS', K('dependants:' .. id))) do
          local its = tonumber(redis.call('HGET', K('job:' .. dependant), 'state'))
          if its == PENDING or its == PROCESSING or its == FAILED then is_needed = true end
        end
        if row and not is_needed and now - tonumber(row.updated) > tonumber(ARGV[1]) then
          for _, name in ipairs({'all', 'state:' .. state}) do redis.call('ZREM', K(name), id) end
          if row.has_asset == '1' then redis.call('ZREM', K('asset:' .. row.site .. '/' .. row.asset), id) end
          for _, other in ipairs(words(row.dependencies)) do redis.call('SREM', K('dependants:' .. other), id) end
          redis.call('HINCRBY', K('counts'), state .. '/' .. row.kind, -1)
          redis.call('DEL', K('job:' .. id), K('dependants:' .. id))
          removed = removed + 1
        end
      end
    end
    return removed
    """)

  /// KEYS[1] is the prefix of all keys; the last of ARGV, which the library takes away, the lease in milliseconds.
  private static func script(_ body: String) -> RedisScript { RedisScript(library + body) }
}
