using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace MultiAgent.Bench.Bus;

/// <summary>
/// The baseline: the client library alone. A batch is published with all its messages under way together and awaited to the last
/// acknowledgement; a durable pull consumer acknowledges each message. The same guarantees as the platform's bus, without its envelope.
/// </summary>
internal sealed class BarePair : IContestant
{
    private readonly NatsConnection _connection;
    private readonly NatsJSContext _stream;
    private readonly string _name = $"bare-{Guid.NewGuid():N}";
    private readonly CancellationTokenSource _stop = new();
    private Task _consuming = Task.CompletedTask;
    private long _consumed;

    private BarePair(string url)
    {
        _connection = new NatsConnection(new NatsOpts { Url = url, SubPendingChannelCapacity = 4096, SubPendingChannelFullMode = System.Threading.Channels.BoundedChannelFullMode.Wait });
        _stream = new NatsJSContext(_connection);
    }

    public long Consumed => Interlocked.Read(ref _consumed);

    public static async Task<BarePair> CreateAsync(string url)
    {
        var pair = new BarePair(url);
        await pair._stream.CreateStreamAsync(new StreamConfig(pair._name, [$"{pair._name}.>"]) { Storage = StreamConfigStorage.File });
        var consumer = await pair._stream.CreateOrUpdateConsumerAsync(pair._name, new ConsumerConfig("reader") { DurableName = "reader", AckPolicy = ConsumerConfigAckPolicy.Explicit, MaxAckPending = 1024 });
        pair._consuming = Task.Run(() => pair.ConsumeAsync(consumer));
        return pair;
    }

    public async Task PublishAsync(IReadOnlyList<(string Id, byte[] Payload)> batch)
    {
        var underWay = new List<NatsJSPublishConcurrentFuture>(batch.Count);
        foreach (var (id, payload) in batch)
            underWay.Add(await _stream.PublishConcurrentAsync($"{_name}.event", payload, NatsRawSerializer<byte[]>.Default, new NatsJSPubOpts { MsgId = id }));
        foreach (var one in underWay)
        {
            (await one.GetResponseAsync()).EnsureSuccess();
            await one.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _consuming;
        await _stream.DeleteStreamAsync(_name);
        await _connection.DisposeAsync();
        _stop.Dispose();
    }

    private async Task ConsumeAsync(INatsJSConsumer consumer)
    {
        try
        {
            await foreach (var message in consumer.ConsumeAsync(NatsRawSerializer<NatsMemoryOwner<byte>>.Default, new NatsJSConsumeOpts { MaxMsgs = 256 }, _stop.Token))
            {
                await message.AckAsync();
                message.Data.Dispose();
                Interlocked.Increment(ref _consumed);
            }
        }
        catch (OperationCanceledException)
        {
            // The race is over.
        }
    }
}
