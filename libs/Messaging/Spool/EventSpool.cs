using System.Buffers;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Data;
using MultiAgent.Hosting;

namespace MultiAgent.Messaging.Spool;

/// <summary>
/// Two mapped areas: one is filled by requests while the other is published and emptied. A published area always makes the
/// same events with the same ids, since it does not change any more; so a crash in between repeats nothing.
/// </summary>
internal sealed partial class EventSpool : BackgroundService, IEventSpool, IStartupTask
{
    private const int MaxRecord = 16_000;

    // Below the size at which arrays count as large objects, which only a full collection frees.
    private const int BytesPerEvent = 60 * 1024;
    private const int KeptBuffers = 64;

    // While the consumer stands still, what bills are made of has the rest for itself.
    private const double RequestShare = 0.5;
    private static readonly TimeSpan StopTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly IEventBus _bus;
    private readonly TimeProvider _time;
    private readonly ILogger<EventSpool> _logger;
    private readonly Lazy<SpoolArea[]> _areas;
    private readonly SemaphoreSlim _filled = new(0, 1);
    private readonly List<ArrayBufferWriter<byte>> _buffers = [];
    private SpoolArea? _active;
    private volatile bool _nearlyFull;
    private bool _disposed;
    private long _dropped;

    public EventSpool(IEventBus bus, IOptions<DataOptions> data, IOptions<MessagingOptions> options, TimeProvider time, ILogger<EventSpool> logger)
    {
        _bus = bus;
        _time = time;
        _logger = logger;
        // Opened on first use: the host has then made the folder and locked it.
        _areas = new(() =>
        {
            string folder = Directory.CreateDirectory(Path.Combine(data.Value.Directory, "spool")).FullName;
            long size = options.Value.SpoolMegabytes * 1024L * 1024L;
            return [new SpoolArea(Path.Combine(folder, "a.spool"), size), new SpoolArea(Path.Combine(folder, "b.spool"), size)];
        });
    }

    /// <summary>Part of the active area that is used, 0 to 1: how near the spool is to refusing.</summary>
    public double Used
    {
        // A health probe may come after the end; the memory is unmapped then.
        get { lock (_lock) return _disposed ? 0 : Active.Used; }
    }

    public bool IsNearlyFull => _nearlyFull;

    /// <summary>Records that found no room.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    private SpoolArea Active
    {
        get
        {
            if (_active is { } active) return active;
            // After a crash both may hold records: go on filling the newer one.
            SpoolArea[] areas = _areas.Value;
            return _active = areas[0].Sequence >= areas[1].Sequence ? areas[0] : areas[1];
        }
    }

    /// <summary>Opens the files, so that a disk without room for them stops the start with one line.</summary>
    public Task RunAsync(CancellationToken cancellationToken)
    {
        _ = _areas.Value;
        return Task.CompletedTask;
    }

    public bool Append(SpoolKind kind, ReadOnlySpan<byte> record)
    {
        if (record.Length > MaxRecord)
        {
            // Its maker should have bounded it; the request that it tells of must not fail for that.
            Interlocked.Increment(ref _dropped);
            LogTooLarge(kind, record.Length);
            return false;
        }
        bool wasEmpty, appended;
        lock (_lock)
        {
            // The memory is unmapped on disposal: touching it then would end the process.
            ObjectDisposedException.ThrowIf(_disposed, this);
            wasEmpty = Active.IsEmpty;
            appended = (kind != SpoolKind.Request || Active.Used < RequestShare) && Active.TryAppend(kind, record);
            _nearlyFull = Active.Used > 0.8;
        }
        // Whoever writes the log counts what it loses.
        if (!appended && kind == SpoolKind.Request) return false;
        if (!appended)
        {
            if (Interlocked.Increment(ref _dropped) % 1000 == 1) LogFull(_dropped);
            return false;
        }
        if (wasEmpty) Wake();
        return true;
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        // The host's time may be used up by now. What does not go out stays in the files and goes out at the next start.
        if (ExecuteTask is { IsCompleted: false }) return;
        using var limit = new CancellationTokenSource(StopTime, _time);
        try
        {
            await PublishAllAsync(limit.Token);
        }
        catch (Exception e)
        {
            LogFailed(e);
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            if (_areas.IsValueCreated) Array.ForEach(_areas.Value, a => a.Dispose());
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // What an earlier process left goes first.
        if (_areas.Value.Any(a => !a.IsEmpty)) Wake();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await _filled.WaitAsync(stoppingToken);
                await Task.Delay(Gather, _time, stoppingToken);
                await PublishAllAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogFailed(e);
                Wake();
                await Task.Delay(TimeSpan.FromSeconds(1), _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Wake()
    {
        try
        {
            if (_filled.CurrentCount == 0) _filled.Release();
        }
        catch (SemaphoreFullException)
        {
            // another thread was first
        }
    }

    private async Task PublishAllAsync(CancellationToken cancellationToken)
    {
        SpoolArea[] areas = _areas.Value;
        SpoolArea active, other;
        lock (_lock)
        {
            active = Active;
            other = areas[0] == active ? areas[1] : areas[0];
        }
        await PublishAsync(other, cancellationToken);
        lock (_lock)
        {
            // The empty one becomes the next to fill; its sequence is set before any record can be in it.
            other.Sequence = active.Sequence + 1;
            _active = other;
            _nearlyFull = false;
        }
        await PublishAsync(active, cancellationToken);
        if (!other.IsEmpty) Wake();
    }

    private async Task PublishAsync(SpoolArea area, CancellationToken cancellationToken)
    {
        if (area.IsEmpty) return;
        await _bus.PublishAsync(ToEvents(area), cancellationToken);
        area.Clear();
    }

    private List<EventEnvelope> ToEvents(SpoolArea area)
    {
        // The bus is done with the buffers of the publication before.
        int used = 0;
        if (_buffers.Count > KeptBuffers) _buffers.RemoveRange(KeptBuffers, _buffers.Count - KeptBuffers);
        var events = new List<EventEnvelope>();
        var open = new Dictionary<SpoolKind, (ArrayBufferWriter<byte> Bytes, int Count)>();
        area.Read((kind, record) =>
        {
            if (!open.TryGetValue(kind, out (ArrayBufferWriter<byte> Bytes, int Count) batch))
            {
                if (used == _buffers.Count) _buffers.Add(new ArrayBufferWriter<byte>(BytesPerEvent + 2048));
                batch = (_buffers[used++], 0);
                batch.Bytes.ResetWrittenCount();
                batch.Bytes.Write(kind == SpoolKind.Journey ? "{\"changes\":["u8 : "{\"records\":["u8);
            }
            if (batch.Count > 0) batch.Bytes.Write(","u8);
            batch.Bytes.Write(record);
            batch.Count++;
            if (batch.Bytes.WrittenCount > BytesPerEvent - record.Length)
            {
                open.Remove(kind);
                events.Add(Close(area, kind, batch.Bytes, events.Count));
            }
            else open[kind] = batch;
        });
        foreach ((SpoolKind kind, (ArrayBufferWriter<byte> bytes, _)) in open.OrderBy(o => o.Key)) events.Add(Close(area, kind, bytes, events.Count));
        return events;
    }

    private EventEnvelope Close(SpoolArea area, SpoolKind kind, ArrayBufferWriter<byte> bytes, int index)
    {
        bytes.Write("]}"u8);
        return new EventEnvelope
        {
            Id = $"spool-{area.Id:N}-{area.Sequence}-{index}",
            Subject = kind switch
            {
                SpoolKind.Usage => Subjects.UsageModelInference,
                SpoolKind.Journey => Subjects.JourneyRecorded,
                SpoolKind.Request => Subjects.RequestCompleted,
                _ => throw new InvalidOperationException($"The spool holds a record of an unknown kind {kind}."),
            },
            Source = "spool",
            Time = _time.GetUtcNow(),
            Data = bytes.WrittenMemory,
        };
    }

    [LoggerMessage(EventId = 1, EventName = "SpoolFull", Level = LogLevel.Error, Message = "The event spool is full, {Count} records were dropped: events are not being stored")]
    private partial void LogFull(long count);

    [LoggerMessage(EventId = 3, EventName = "SpoolRecordTooLarge", Level = LogLevel.Error, Message = "A {Kind} record of {Length} bytes is too large for the spool and was dropped")]
    private partial void LogTooLarge(SpoolKind kind, int length);

    [LoggerMessage(EventId = 2, EventName = "SpoolPublishFailed", Level = LogLevel.Error, Message = "Spooled events could not be published; they stay in the spool")]
    private partial void LogFailed(Exception e);
}
