using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Identity;
using NATS.Client.Core;

namespace MultiAgent.Messaging.JetStream;

/// <summary>
/// Changes of callers over NATS, outside the streams: to be fast, not durable. Four times a second the process asks the server for a sign of life; what was
/// published before its answer has arrived by then. Without one, nothing is believed to be heard. Who tells of changes numbers them and sends a beacon with the last number
/// as often: one that falls silent while NATS answers was cut off alone, or has died.
/// </summary>
internal sealed partial class NatsCallerChangeFeed(JetStreamConnection connection, IOptions<JetStreamOptions> options, TimeProvider time, ILogger<NatsCallerChangeFeed> logger)
    : BackgroundService, ICallerChangeFeed
{
    private const string ProcessHeader = "Maap-Process";
    private const string NumberHeader = "Maap-Number";
    private const string LeavesHeader = "Maap-Leaves";
    private const int MaxWaiting = 1000;
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(500);
    // With the beacon's pace: less than the second that is promised.
    private static readonly TimeSpan TellerSilence = TimeSpan.FromMilliseconds(700);

    // Of no change; a version that knows no beacons reads it as nothing.
    private static readonly byte[] Beacon = [.. "null"u8];
    private static readonly TimeSpan AfterFailure = TimeSpan.FromMilliseconds(500);

    private readonly CallerChangeSubscribers _subscribers = new();
    private readonly string _process = Guid.NewGuid().ToString("N");
    private readonly string _subject = $"{options.Value.Prefix}.callers";
    // Changes wait here while NATS is away. More than fit are told as one: forget everybody.
    private readonly Channel<CallerChanged> _waiting = Channel.CreateBounded<CallerChanged>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly CallerTellers _tellers = new(TellerSilence, time);
    private long _lastSign;
    private long _told;
    private volatile bool _tells;
    private volatile bool _subscribed;
    private volatile bool _overflowed;
    // A change was handed to the connection, and no answer of the server since then shows that it took it.
    private volatile bool _unconfirmed;

    public bool HearsOthers => _subscribed && time.GetElapsedTime(Volatile.Read(ref _lastSign)) < Silence;

    public bool HearsTellers => _tellers.AllHeard;

    public void BeginTelling() => _tells = true;

    public void Raise(CallerChanged change)
    {
        _subscribers.Tell(change);
        if (!_waiting.Writer.TryWrite(change)) _overflowed = true;
    }

    public IDisposable Subscribe(Action<CallerChanged> changed, Action missed) => _subscribers.Add(changed, missed);

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        bool tells = _tells && HearsOthers;
        await base.StopAsync(cancellationToken);
        if (!tells) return;
        // So that nobody misses what has stopped to serve. Without a connection nobody hears it, and they find out.
        using var patience = new CancellationTokenSource(Silence, time);
        try
        {
            await TryPublishAsync(Beacon, new NatsHeaders { [ProcessHeader] = _process, [LeavesHeader] = "true" }, patience.Token);
            await connection.Nats.PingAsync(patience.Token);
        }
        catch (Exception e) when (e is NatsException or OperationCanceledException)
        {
            LogFailed(e.Message);
        }
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        RepeatAsync(ListenAsync, stoppingToken), RepeatAsync(SendAsync, stoppingToken));

    private async Task RepeatAsync(Func<CancellationToken, Task> work, CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await work(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogFailed(e.Message);
                await Task.Delay(AfterFailure, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ListenAsync(CancellationToken stoppingToken)
    {
        NatsConnection nats = connection.Nats;
        await nats.ConnectAsync().AsTask().WaitAsync(stoppingToken);
        await using INatsSub<byte[]> subscription = await nats.SubscribeCoreAsync<byte[]>(_subject, cancellationToken: stoppingToken);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        // However short it was: what was published meanwhile went past.
        nats.ConnectionDisconnected += OnLost;
        Task beating = BeatAsync(nats, ended.Token);
        try
        {
            await foreach (NatsMsg<byte[]> message in subscription.Msgs.ReadAllAsync(stoppingToken)) Take(message);
        }
        finally
        {
            nats.ConnectionDisconnected -= OnLost;
            _subscribed = false;
            await ended.CancelAsync();
            await beating.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private ValueTask OnLost(object? sender, NatsEventArgs args)
    {
        _subscribed = false;
        return default;
    }

    /// <summary>Keeps the sign of life. When it was lost, changes may have been missed in between.</summary>
    private async Task BeatAsync(NatsConnection nats, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Beat, time);
        while (true)
        {
            bool unconfirmed = _unconfirmed;
            _unconfirmed = false;
            try
            {
                if (nats.ConnectionState == NatsConnectionState.Open)
                {
                    // Of the moment of asking: what was published before it is here when the answer is.
                    long asked = time.GetTimestamp();
                    using var patience = new CancellationTokenSource(Silence, time);
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, cancellationToken);
                    await nats.PingAsync(limit.Token);
                    bool heard = HearsOthers;
                    if (time.GetElapsedTime(asked) < Silence)
                    {
                        // In this order: nobody may take an old caller for one that would have been told of.
                        if (!heard) _subscribers.TellMissed();
                        Volatile.Write(ref _lastSign, asked);
                        _subscribed = true;
                        // It may have gone down with the old connection.
                        if (!heard && unconfirmed) await PublishAsync([], cancellationToken);
                        unconfirmed = false;
                        if (_tells) await TryPublishAsync(Beacon, HeadersOf(Volatile.Read(ref _told)), cancellationToken);
                    }
                }
                else _subscribed = false;
            }
            catch (Exception e) when (e is NatsException or TimeoutException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                _subscribed = false;
            }
            if (unconfirmed) _unconfirmed = true;
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    private async Task SendAsync(CancellationToken stoppingToken)
    {
        await foreach (CallerChanged change in _waiting.Reader.ReadAllAsync(stoppingToken))
        {
            if (_overflowed)
            {
                _overflowed = false;
                // An empty message: more changed than can be told.
                await PublishAsync([], stoppingToken);
            }
            await PublishAsync(JsonSerializer.SerializeToUtf8Bytes(change, EventJson.Default.CallerChanged), stoppingToken);
        }
    }

    private async Task PublishAsync(byte[] data, CancellationToken stoppingToken)
    {
        // Counted once it is handed over: a beacon that comes before it must not tell of it.
        long number = Volatile.Read(ref _told) + (data.Length > 0 ? 1 : 0);
        do _unconfirmed = true;
        while (!await TryPublishAsync(data, HeadersOf(number), stoppingToken) && await WaitAsync(stoppingToken));
        if (data.Length > 0) Volatile.Write(ref _told, number);
    }

    private async Task<bool> TryPublishAsync(byte[] data, NatsHeaders headers, CancellationToken cancellationToken)
    {
        try
        {
            await connection.Nats.PublishAsync(_subject, data, headers, cancellationToken: cancellationToken);
            return true;
        }
        catch (Exception e) when (e is NatsException or TimeoutException)
        {
            LogFailed(e.Message);
            return false;
        }
    }

    private async Task<bool> WaitAsync(CancellationToken stoppingToken)
    {
        await Task.Delay(AfterFailure, time, stoppingToken);
        return true;
    }

    private NatsHeaders HeadersOf(long number) => new() { [ProcessHeader] = _process, [NumberHeader] = number.ToString(CultureInfo.InvariantCulture) };

    private void Take(NatsMsg<byte[]> message)
    {
        string? process = HeaderOf(message, ProcessHeader);
        // Our own were told before they were sent.
        if (process == _process) return;
        if (process is not null && HeaderOf(message, LeavesHeader) is not null)
        {
            _tellers.Leave(process);
            return;
        }
        bool isBeacon = message.Data is { } data && data.AsSpan().SequenceEqual(Beacon);
        if (process is not null && long.TryParse(HeaderOf(message, NumberHeader), CultureInfo.InvariantCulture, out long number)
            && !(isBeacon ? _tellers.Hear(process, number) : _tellers.Count(process, number)))
            _subscribers.TellMissed();
        if (isBeacon) return;
        try
        {
            if (message.Data is not { Length: > 0 }) _subscribers.TellMissed();
            else if (JsonSerializer.Deserialize(message.Data, EventJson.Default.CallerChanged) is { } change) _subscribers.Tell(change);
        }
        catch (JsonException)
        {
            // Something changed that this version cannot read.
            _subscribers.TellMissed();
        }
    }

    private static string? HeaderOf(NatsMsg<byte[]> message, string name) => message.Headers?.TryGetValue(name, out var value) == true ? value.ToString() : null;

    [LoggerMessage(EventId = 1, EventName = "CallerChangeFeedFailed", Level = LogLevel.Debug, Message = "The feed of changed callers waits for NATS: {Why}")]
    private partial void LogFailed(string why);
}
