using MultiAgent.Contracts.Events;
using NATS.Client.Core;
using NATS.Client.JetStream;

namespace MultiAgent.Messaging.JetStream;

/// <summary>One delivery of an event to a consumer, settled once: acknowledged, sent back, or ended.</summary>
internal sealed class Delivery(INatsJSMsg<NatsMemoryOwner<byte>> message)
{
    private volatile bool _settled;

    public INatsJSMsg<NatsMemoryOwner<byte>> Message => message;

    /// <summary>Null when the message is no event of ours.</summary>
    public EventEnvelope? Event { get; } = EventHeaders.Read(message.Headers, message.Data.Length == 0 ? default : message.Data.Memory);

    /// <summary>Deliveries so far, this one included.</summary>
    public int Attempts { get; } = (int)Math.Min(int.MaxValue, message.Metadata?.NumDelivered ?? 1);

    public async ValueTask SettleAsync(Func<INatsJSMsg<NatsMemoryOwner<byte>>, ValueTask> how)
    {
        if (_settled) return;
        _settled = true;
        await how(message);
    }

    /// <summary>Asks for more time, if it is not settled.</summary>
    public ValueTask WorkingAsync() => _settled ? default : message.AckProgressAsync();
}

/// <summary>Deliveries that are handled together; their data is pooled and given back with it.</summary>
internal sealed class DeliveryBatch : IDisposable
{
    private readonly List<Delivery> _deliveries = [];

    public IReadOnlyList<Delivery> Deliveries => _deliveries;

    public int Count => _deliveries.Count;

    public long Bytes { get; private set; }

    public void Add(INatsJSMsg<NatsMemoryOwner<byte>> message)
    {
        _deliveries.Add(new Delivery(message));
        Bytes += message.Size;
    }

    public void Dispose()
    {
        foreach (Delivery delivery in _deliveries) delivery.Message.Data.Dispose();
    }
}

/// <summary>Tells the server every so often that deliveries are being worked on, so that no other replica gets them.</summary>
internal sealed class Working : IAsyncDisposable
{
    private readonly CancellationTokenSource _done = new();
    private readonly Task _task;

    public Working(IReadOnlyList<Delivery> deliveries, TimeSpan every, TimeProvider time) => _task = RunAsync(deliveries, every, time);

    public async ValueTask DisposeAsync()
    {
        await _done.CancelAsync();
        await _task;
        _done.Dispose();
    }

    private async Task RunAsync(IReadOnlyList<Delivery> deliveries, TimeSpan every, TimeProvider time)
    {
        try
        {
            while (true)
            {
                await Task.Delay(every, time, _done.Token);
                foreach (Delivery delivery in deliveries) await delivery.WorkingAsync();
            }
        }
        catch (OperationCanceledException)
        {
            // The work is done.
        }
        catch (NatsException)
        {
            // Without a connection nothing can be said; the deliveries come again.
        }
    }
}
