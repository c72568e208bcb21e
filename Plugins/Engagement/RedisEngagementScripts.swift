// The steps that are more than one command, in Lua: each happens as a whole, by the clock of the server.
//
// Views (see Store/Catalog/ViewCounts.swift for how they go on into the catalog):
//
//   views:{id}      number   only grows
//   views:changed   zset     id → the number of its last view
//   views:line      hash     line: drawn when the counter begins; rewinds; seq: number of the last view
//
// A view sets `viewed:{id}:{user}` if it is not there, and only then adds to the rest; so a beacon that is sent again, because its
// answer was lost, adds nothing. Followers read what has changed behind the number that they know. One that knows a higher
// number than there is tells of a server that has lost its last moments: `rewinds` grows, and all is read again.

import Net

enum RedisEngagementScripts {
  /// KEYS: viewed, views, changed, line, unique, trending. ARGV: id, viewer, weight, a random line, ms until the next view
  /// counts, seconds of unique, seconds of trending.
  static let count = RedisScript(
    counting + """
      return count(1, 1)
      """)

  /// KEYS: as above, then session, history, live of the video, live of all. ARGV: as above, then position, threshold (-1: never),
  /// ms of session, ms of history, length of history, ms of live.
  static let progress = RedisScript(
    counting + """
      local id, viewer, position, threshold = ARGV[1], ARGV[2], tonumber(ARGV[8]), tonumber(ARGV[9])
      local row = redis.call('HMGET', KEYS[7], 'position', 'watched', 'updated', 'counted')
      local watched, counted = tonumber(row[2] or 0), row[4] == '1'
      if row[1] then
        local last = tonumber(row[1])
        if position < 5000 and last >= 5000 then
          watched, counted = 0, false
        else
          local step, elapsed = position - last, now - tonumber(row[3])
          if step > 0 and step <= 2 * elapsed + 2000 then watched = watched + step end
        end
      end
      local is_view = 0
      if threshold >= 0 and watched >= threshold and not counted then
        is_view = count(1, 1)
        counted = true
      end
      redis.call('HSET', KEYS[7], 'position', ARGV[8], 'watched', whole(watched), 'updated', whole(now),
        'counted', counted and '1' or '0')
      redis.call('PEXPIRE', KEYS[7], ARGV[10])
      redis.call('ZADD', KEYS[8], whole(now), id)
      redis.call('ZREMRANGEBYRANK', KEYS[8], 0, -1 - tonumber(ARGV[12]))
      redis.call('PEXPIRE', KEYS[8], ARGV[11])
      for i = 9, 10 do
        redis.call('ZADD', KEYS[i], whole(now), viewer)
        redis.call('PEXPIRE', KEYS[i], ARGV[13])
      end
      return {watched, is_view}
      """)

  /// KEYS: sets of live viewers. ARGV: ms of live, then for each key the number of viewers and those.
  static let heartbeat = RedisScript(
    clock + """
      local place = 2
      for _, key in ipairs(KEYS) do
        local last = place + tonumber(ARGV[place])
        for i = place + 1, last do redis.call('ZADD', key, whole(now), ARGV[i]) end
        redis.call('PEXPIRE', key, ARGV[1])
        place = last + 1
      end
      return 1
      """)

  /// KEYS: sets of live viewers. ARGV: ms of live.
  static let live = RedisScript(
    clock + """
      local counts = {}
      for i, key in ipairs(KEYS) do
        redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. whole(now - tonumber(ARGV[1])))
        counts[i] = redis.call('ZCARD', key)
      end
      return counts
      """)

  /// KEYS: where the sum is kept for a minute, the hours. ARGV: limit.
  static let trending = RedisScript(
    """
    if redis.call('EXISTS', KEYS[1]) == 0 then
      redis.call('ZUNIONSTORE', KEYS[1], #KEYS - 1, unpack(KEYS, 2))
      redis.call('EXPIRE', KEYS[1], 60)
    end
    return redis.call('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1)
    """)

  /// KEYS: reported, queue, item. ARGV: id, ms until the next report counts, reason, note.
  static let report = RedisScript(
    clock + """
      if not redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[2]) then return 0 end
      redis.call('ZINCRBY', KEYS[2], 1, ARGV[1])
      redis.call('HINCRBY', KEYS[3], 'reason:' .. ARGV[3], 1)
      redis.call('HSETNX', KEYS[3], 'first', whole(now))
      redis.call('HSET', KEYS[3], 'last', whole(now))
      if ARGV[4] ~= '' then redis.call('HSET', KEYS[3], 'note', ARGV[4]) end
      return 1
      """)

  /// KEYS: queue. ARGV: limit, the two parts of an item's key.
  static let moderationQueue = RedisScript(
    """
    local found = redis.call('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
    local items = {}
    for i = 1, #found, 2 do
      items[#items + 1] = {found[i], found[i + 1], redis.call('HGETALL', ARGV[2] .. found[i] .. ARGV[3])}
    end
    return items
    """)

  /// KEYS: queue, item. ARGV: id.
  static let settle = RedisScript(
    """
    redis.call('DEL', KEYS[2])
    return redis.call('ZREM', KEYS[1], ARGV[1])
    """)

  /// KEYS: stream. ARGV: ms of the window, the interval.
  static let append = RedisScript(
    clock + """
      redis.call('XADD', KEYS[1], '*', 's', ARGV[2])
      redis.call('XTRIM', KEYS[1], 'MINID', '~', whole(now - tonumber(ARGV[1])))
      redis.call('PEXPIRE', KEYS[1], ARGV[1])
      return 1
      """)

  /// KEYS: stream. ARGV: ms of the window.
  static let intervals = RedisScript(
    clock + """
      local texts = {}
      for i, entry in ipairs(redis.call('XRANGE', KEYS[1], whole(now - tonumber(ARGV[1])), '+')) do
        texts[i] = entry[2][2]
      end
      return texts
      """)

  /// KEYS: one for each address. ARGV: `1` for windows, ms of the window or µs of an interval, then what each has used.
  static let spend = RedisScript(
    clock + """
      local answers = {}
      for i, key in ipairs(KEYS) do
        local used = tonumber(ARGV[2 + i])
        if ARGV[1] == '1' then
          local count = redis.call('INCRBY', key, used)
          if count == used then redis.call('PEXPIRE', key, ARGV[2]) end
          answers[i] = count
        else
          local empty_at = math.max(tonumber(redis.call('GET', key) or 0), now_us) + used * tonumber(ARGV[2])
          redis.call('SET', key, whole(empty_at), 'PX', math.ceil((empty_at - now_us) / 1000) + 1)
          answers[i] = empty_at - now_us
        end
      end
      return answers
      """)

  /// KEYS: changed, line. ARGV: line, rewinds and number that are known (empty: none), most videos, the two parts of a counter's key.
  static let viewCounts = RedisScript(
    """
    local row = redis.call('HMGET', KEYS[2], 'line', 'rewinds', 'seq')
    if not row[1] then return false end
    local rewinds, seq, from = tonumber(row[2] or 0), tonumber(row[3] or 0), 0
    if row[1] == ARGV[1] then
      local known_rewinds, known = tonumber(ARGV[2]), tonumber(ARGV[3])
      if rewinds < known_rewinds or rewinds == known_rewinds and seq < known then
        rewinds = math.max(rewinds, known_rewinds) + 1
        redis.call('HSET', KEYS[2], 'rewinds', rewinds)
      elseif rewinds == known_rewinds then
        from = known
      end
    end
    local found = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. from, '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
    if #found == 0 then return false end
    local answer = {row[1], tostring(rewinds), found[#found]}
    for i = 1, #found, 2 do
      answer[#answer + 1] = found[i]
      answer[#answer + 1] = redis.call('GET', ARGV[5] .. found[i] .. ARGV[6]) or '0'
    end
    return answer
    """)

  /// The server's time in ms and µs; and numbers as texts that Redis takes, since Lua writes large ones otherwise.
  private static let clock = """
    local t = redis.call('TIME')
    local now_us = tonumber(t[1]) * 1000000 + tonumber(t[2])
    local now = math.floor(now_us / 1000)
    local function whole(n) return string.format('%.0f', n) end

    """

  /// Counts a view, with the keys and arguments of `count` from the places given on.
  private static let counting =
    clock + """
      local function count(k, a)
        local weight = tonumber(ARGV[a + 2])
        if weight == 0 then return 1 end
        if not redis.call('SET', KEYS[k], 1, 'NX', 'PX', ARGV[a + 4]) then return 0 end
        redis.call('INCRBY', KEYS[k + 1], weight)
        redis.call('HSETNX', KEYS[k + 3], 'line', ARGV[a + 3])
        redis.call('ZADD', KEYS[k + 2], redis.call('HINCRBY', KEYS[k + 3], 'seq', 1), ARGV[a])
        redis.call('PFADD', KEYS[k + 4], ARGV[a + 1])
        redis.call('EXPIRE', KEYS[k + 4], ARGV[a + 5])
        redis.call('ZINCRBY', KEYS[k + 5], weight, ARGV[a])
        redis.call('EXPIRE', KEYS[k + 5], ARGV[a + 6])
        return 1
      end

      """
}
