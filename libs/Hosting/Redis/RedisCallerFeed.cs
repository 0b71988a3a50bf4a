using System.Text.Json;
using Microsoft.Extensions.Hosting;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Identity;
using StackExchange.Redis;

namespace MultiAgent.Hosting.Redis;

/// <summary>
/// Changed callers by Redis' publish/subscribe, which keeps nothing for who does not listen. So each change carries a number from a counter in Redis,
/// and each process sends a beacon with the counter's value several times a second: a number that is left out tells that a change was missed, and a beacon
/// of one's own that does not come back tells that nothing is heard.
/// </summary>
internal sealed class RedisCallerFeed(RedisConnection redis, TimeProvider time) : BackgroundService, ICallerChangeFeed
{
    private static readonly TimeSpan BeaconEvery = TimeSpan.FromMilliseconds(250);

    // With the beacon's pace: who is cut off believes nobody after less than the second that is promised.
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(700);

    // Before the name of a sender: it tells of changes; it leaves.
    private const char Telling = '+';
    private const char Leaving = '-';

    private const string Beacon = "";
    private const string Everybody = "*";

    // A script runs whole, so numbers arrive in the order in which they were given. ARGV: channel, step of the counter, sender, text.
    private const string Script = """
        local number = redis.call('INCRBY', KEYS[1], ARGV[2])
        redis.call('PUBLISH', ARGV[1], number .. ' ' .. ARGV[3] .. ' ' .. ARGV[4])
        return number
        """;

    private readonly CallerChangeSubscribers _subscribers = new();
    private readonly string _self = Guid.NewGuid().ToString("N");
    private readonly CallerTellers _tellers = new(Silence, time);
    private readonly Lock _lock = new();
    private volatile bool _tells;
    private ConnectionMultiplexer? _subscribedTo;
    private long _number = -1;
    private long _sent = -1;
    private int _onTheWay;
    private long _heardAt;
    private volatile bool _heard;
    private volatile bool _owed;

    public bool HearsOthers => _heard && time.GetElapsedTime(Volatile.Read(ref _heardAt)) < Silence;

    public bool HearsTellers => _tellers.AllHeard;

    /// <summary>How many changes there have been; part of the keys of whatever a change makes wrong. Null while it is not known for sure.</summary>
    public long? Number
    {
        get
        {
            // An own change counts from the moment in which it is told here, though its number comes later.
            if (!HearsOthers || Volatile.Read(ref _onTheWay) > 0 || _owed) return null;
            lock (_lock) return _number >= _sent ? _number : null;
        }
    }

    public void BeginTelling() => _tells = true;

    public void Raise(CallerChanged change)
    {
        Interlocked.Increment(ref _onTheWay);
        _subscribers.Tell(change);
        _ = SendChangeAsync(JsonSerializer.Serialize(change, EventJson.Default.CallerChanged));
    }

    public IDisposable Subscribe(Action<CallerChanged> changed, Action missed) => _subscribers.Add(changed, missed);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // So that nobody misses what has stopped to serve.
        if (_tells && redis.IsUp) await SendAsync(Beacon, Leaving + _self);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(BeaconEvery, time);
        do
        {
            if (!redis.IsUp || !await SubscribedAsync()) continue;
            // A change that could not be sent: nobody knows any more which it was, so the others forget everybody.
            if (_owed)
            {
                Interlocked.Increment(ref _onTheWay);
                _owed = false;
                await SendChangeAsync(Everybody);
            }
            else await SendAsync(Beacon);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task SendChangeAsync(string change)
    {
        try
        {
            await SendAsync(change);
        }
        finally
        {
            Interlocked.Decrement(ref _onTheWay);
        }
    }

    private Task SendAsync(string text) => SendAsync(text, _tells ? Telling + _self : _self);

    private async Task SendAsync(string text, string sender)
    {
        RedisResult? number = await redis.TryAsync(db => db.ScriptEvaluateAsync(Script, [redis.Key("callers", "changes")], [(string)redis.Channel("callers")!, text == Beacon ? 0 : 1, sender, text]));
        if (text == Beacon) return;
        if (number is null) _owed = true;
        else lock (_lock) _sent = (long)number;
    }

    private async ValueTask<bool> SubscribedAsync()
    {
        ConnectionMultiplexer multiplexer = redis.Multiplexer;
        if (ReferenceEquals(multiplexer, _subscribedTo)) return true;
        try
        {
            // One after the other, in their order; and the client subscribes again by itself after each loss of the connection.
            (await multiplexer.GetSubscriber().SubscribeAsync(redis.Channel("callers"))).OnMessage(message => Hear((string)message.Message!));
        }
        catch (Exception e) when (e is RedisException or TimeoutException or OperationCanceledException or ObjectDisposedException)
        {
            return false;
        }
        _subscribedTo = multiplexer;
        return true;
    }

    private void Hear(string message)
    {
        if (message.Split(' ', 3) is not [var digits, { Length: > 0 } sender, var text] || !long.TryParse(digits, out long number)) return;
        char role = sender[0];
        if (role is Telling or Leaving) sender = sender[1..];
        bool wasDeaf = !HearsOthers, own = sender == _self, inOrder;
        if (role == Leaving) _tellers.Leave(sender);
        else if (role == Telling && !own) _tellers.Hear(sender);
        lock (_lock)
        {
            // A beacon repeats the number of the last change; a change has the next. Anything else: a gap, or a Redis that has lost its memory.
            inOrder = _number >= 0 && number == (text == Beacon ? _number : _number + 1);
            if (number < _number) _sent = -1;
            _number = number;
        }
        if (own)
        {
            Volatile.Write(ref _heardAt, time.GetTimestamp());
            _heard = true;
        }
        if (!inOrder || (own ? wasDeaf : text == Everybody)) _subscribers.TellMissed();
        if (!own && text.Length > 1 && JsonSerializer.Deserialize(text, EventJson.Default.CallerChanged) is { } changed) _subscribers.Tell(changed);
    }
}
