// The Lua functions that the steps of the queue share; every script begins with them.

import Store

extension RedisJobScripts {
  static let library = """
    local PENDING, PROCESSING, COMPLETED, FAILED, CANCELLED = 1, 2, 3, 4, 5
    local MOST_ATTEMPTS = \(JobRecord.maximumAttempts)
    local lease = tonumber(table.remove(ARGV))
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)

    local function K(name) return KEYS[1] .. name end

    local function words(text)
      local found = {}
      for word in string.gmatch(text, '%S+') do found[#found + 1] = word end
      return found
    end

    -- Whole numbers only: Lua would write large ones with an exponent.
    local function set(id, ...)
      local fields = {...}
      for i, value in ipairs(fields) do
        if type(value) == 'number' then fields[i] = string.format('%.0f', value) end
      end
      redis.call('HSET', K('job:' .. id), unpack(fields))
    end

    local function get(id)
      local flat = redis.call('HGETALL', K('job:' .. id))
      if #flat == 0 then return nil end
      local row = {}
      for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end
      for _, name in ipairs({'state', 'attempt', 'crashes', 'fence', 'unmet', 'not_before', 'seq', 'created',
        'priority'}) do
        row[name] = tonumber(row[name])
      end
      return row
    end

    local function line(row) return row.site .. '/' .. row.kind .. '/' .. row.priority end

    local function forget(name, entry)
      if entry == '' then return end
      redis.call('XACK', K('line:' .. name), 'w', entry)
      redis.call('XDEL', K('line:' .. name), entry)
      if redis.call('XLEN', K('line:' .. name)) == 0 then
        redis.call('DEL', K('line:' .. name))
        redis.call('SREM', K('lines'), name)
      end
    end

    -- Out of the lists of its state, and into those of another.
    local function move(id, row, state)
      redis.call('ZREM', K('state:' .. row.state), id)
      redis.call('ZADD', K('state:' .. state), row.seq, id)
      if row.state == PROCESSING then redis.call('HINCRBY', K('running'), row.site, -1) end
      if state == PROCESSING then redis.call('HINCRBY', K('running'), row.site, 1) end
      redis.call('HINCRBY', K('counts'), row.state .. '/' .. row.kind, -1)
      redis.call('HINCRBY', K('counts'), state .. '/' .. row.kind, 1)
      set(id, 'state', state)
    end

    -- A pending job that waits for no other goes where it is found: by its time, or in its line.
    local function place(id)
      local row = get(id)
      if row.state ~= PENDING or row.unmet > 0 then return end
      if row.not_before > 0 then
        redis.call('ZADD', K('delayed'), row.not_before, id)
        return
      end
      local name = line(row)
      redis.pcall('XGROUP', 'CREATE', K('line:' .. name), 'w', '0', 'MKSTREAM')
      local rank = string.format('%.0f', row.created + row.priority * 60000)
      local entry = redis.call('XADD', K('line:' .. name), '*', 'id', id, 'rank', rank)
      redis.call('SADD', K('lines'), name)
      set(id, 'entry', entry)
    end

    local function put_back(id, row)
      forget(line(row), row.entry)
      move(id, row, PENDING)
      set(id, 'owner', '', 'lease_until', 0, 'permille', 0, 'note', '', 'updated', now, 'entry', '')
    end

    local function stands(id, fence)
      local row = get(id)
      if not row or string.format('%.0f', row.fence) ~= fence then return 'lost', nil end
      if row.state == PROCESSING then return 'held', row end
      if row.state == CANCELLED then return 'cancelled', row end
      return 'lost', row
    end

    -- Ends a job, then whoever waits for it, and what nobody wants any more.
    local function finish_as(id, state, code, message, log)
      local ending = {{id, state, code, message, log}}
      while #ending > 0 do
        local id, state, code, message, log = unpack(table.remove(ending))
        local row = get(id)
        local is_alive = row and (row.state == PENDING or row.state == PROCESSING)
        if row and (is_alive or row.state == FAILED and state == CANCELLED) then
          forget(line(row), row.entry)
          redis.call('ZREM', K('delayed'), id)
          move(id, row, state)
          set(id, 'owner', '', 'lease_until', 0, 'not_before', 0, 'updated', now, 'entry', '', 'error_code', code,
            'error_message', message, 'error_log', log)
          for _, other in ipairs(redis.call('SMEMBERS', K('dependants:' .. id))) do
            if state == FAILED then
              ending[#ending + 1] = {other, FAILED, 'dependency-failed',
                'Job ' .. id .. ' (' .. row.kind .. '), which it needs, has failed: ' .. message, ''}
            else
              ending[#ending + 1] = {other, CANCELLED, 'dependency-cancelled',
                'Job ' .. id .. ' (' .. row.kind .. '), which it needs, was cancelled.', ''}
            end
          end
          for _, other in ipairs(words(row.dependencies)) do
            local that = get(other)
            if that and that.serves == '1' and (that.state == PENDING or that.state == PROCESSING) then
              local is_wanted = false
              for _, dependant in ipairs(redis.call('SMEMBERS', K('dependants:' .. other))) do
                local its = tonumber(redis.call('HGET', K('job:' .. dependant), 'state'))
                if its == PENDING or its == PROCESSING or its == COMPLETED then is_wanted = true end
              end
              if not is_wanted then
                ending[#ending + 1] = {other, CANCELLED, 'no-longer-needed',
                  'The jobs that wanted its result have failed or been cancelled.', ''}
              end
            end
          end
        end
      end
    end

    -- Counts what a pending job waits for, or ends it as what it waits for has ended.
    local function settle(id)
      local row, unmet = get(id), 0
      for _, dependency in ipairs(words(row.dependencies)) do
        local other = get(dependency)
        if not other or other.state == CANCELLED then
          return finish_as(id, CANCELLED, 'dependency-cancelled', 'Job ' .. dependency .. ', which it needs, was cancelled.', '')
        elseif other.state == FAILED then
          return finish_as(id, FAILED, 'dependency-failed',
            'Job ' .. dependency .. ' (' .. other.kind .. '), which it needs, has failed: ' .. other.error_message, '')
        elseif other.state ~= COMPLETED then
          unmet = unmet + 1
        end
      end
      set(id, 'unmet', unmet)
    end

    -- Whether the drafts from an argument on can all be added.
    local function check(first)
      local seen = {}
      for i = first, #ARGV, 12 do
        for _, dependency in ipairs(words(ARGV[i + 8])) do
          if not seen[dependency] and redis.call('EXISTS', K('job:' .. dependency)) == 0 then
            return nil, 'HWINVALID a dependency is neither there nor earlier in the list: add it first (' .. dependency .. ')'
          end
        end
        seen[ARGV[i]] = true
      end
      return true
    end

    -- Adds drafts: id, site, kind, key, has an asset, asset, priority, payload, dependencies, serves dependants only, supersedes,
    -- not before.
    local function add(first)
      local _, error = check(first)
      if error then return nil, error end
      local ids, before = {}, tonumber(redis.call('GET', K('seq')) or 0)
      for i = first, #ARGV, 12 do
        local id, site, kind = ARGV[i], ARGV[i + 1], ARGV[i + 2]
        local asset = ARGV[i + 4] == '1' and K('asset:' .. site .. '/' .. ARGV[i + 5])
        ids[#ids + 1] = id
        if redis.call('EXISTS', K('job:' .. id)) == 0 then
          if asset and ARGV[i + 10] == '1' then
            local plugin = string.match(kind, '^[^.]*')
            for _, other in ipairs(redis.call('ZRANGEBYSCORE', asset, '-inf', before)) do
              local row = get(other)
              if row and (row.state == PENDING or row.state == PROCESSING) and string.match(row.kind, '^[^.]*') == plugin then
                finish_as(other, CANCELLED, 'superseded', 'The asset has changed, and newer work has taken its place.', '')
              end
            end
          end
          local seq = redis.call('INCR', K('seq'))
          local not_before = tonumber(ARGV[i + 11])
          if not_before <= now then not_before = 0 end
          set(id, 'id', id, 'site', site, 'kind', kind, 'key', ARGV[i + 3], 'has_asset', ARGV[i + 4], 'asset', ARGV[i + 5],
            'priority', ARGV[i + 6], 'payload', ARGV[i + 7], 'dependencies', ARGV[i + 8], 'serves', ARGV[i + 9],
            'seq', seq, 'created', now, 'updated', now, 'state', PENDING, 'not_before', not_before, 'unmet', 0,
            'attempt', 0, 'crashes', 0, 'owner', '', 'fence', 0, 'lease_until', 0, 'started', 0, 'permille', 0, 'note', '',
            'result', '', 'kept', '', 'error_code', '', 'error_message', '', 'error_log', '', 'entry', '')
          redis.call('ZADD', K('all'), seq, id)
          redis.call('ZADD', K('state:' .. PENDING), seq, id)
          redis.call('HINCRBY', K('counts'), PENDING .. '/' .. kind, 1)
          if asset then redis.call('ZADD', asset, seq, id) end
          for _, dependency in ipairs(words(ARGV[i + 8])) do redis.call('SADD', K('dependants:' .. dependency), id) end
          settle(id)
          place(id)
        end
      end
      return ids
    end

    -- The rank of the first entry of a line that nobody has; nil without one.
    local function head_of(name)
      local groups = redis.call('XINFO', 'GROUPS', K('line:' .. name))
      local last = '0-0'
      for i = 1, #groups[1], 2 do
        if groups[1][i] == 'last-delivered-id' then last = groups[1][i + 1] end
      end
      local found = redis.call('XRANGE', K('line:' .. name), '(' .. last, '+', 'COUNT', 1)
      return found[1] and tonumber(found[1][2][4])
    end

    -- Gives back what has been idle for a lease.
    local function take_back(owner)
      for _, name in ipairs(redis.call('SMEMBERS', K('lines'))) do
        local found = redis.call('XAUTOCLAIM', K('line:' .. name), 'w', owner, lease, '0-0', 'COUNT', 100)
        for _, entry in ipairs(found[2]) do
          local id = entry[2][2]
          local row = get(id)
          if row and row.state == PROCESSING and row.entry == entry[1] then
            local reason = 'The worker ' .. row.owner .. ' died, or fell silent for longer than its lease.'
            if row.attempt >= MOST_ATTEMPTS then
              finish_as(id, FAILED, 'worker-lost', reason, '')
            else
              put_back(id, row)
              set(id, 'error_code', 'worker-lost', 'error_message', reason, 'error_log', '')
              place(id)
            end
          else
            forget(name, entry[1])
          end
        end
      end
    end

    """
}
