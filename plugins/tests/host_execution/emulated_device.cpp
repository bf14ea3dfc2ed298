#include "tests/host_execution/emulated_device.h"

#include <memory>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace normdeploy::emulation
{

ThreadState current{};

namespace
{

constexpr size_t kStackBytes = 128 * 1024;

//! Tells the address sanitizer that the stack changes; without it these do nothing.
void beforeSwitch(void** saved, void const* stack, size_t bytes)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(saved, stack, bytes);
#else
    (void)saved;
    (void)stack;
    (void)bytes;
#endif
}

void afterSwitch(void* saved, void const** oldStack, size_t* oldBytes)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(saved, oldStack, oldBytes);
#else
    (void)saved;
    (void)oldStack;
    (void)oldBytes;
#endif
}

//! The threads of one block, each a fiber.
class Block
{
public:
    explicit Block(int32_t threads)
        : mThreads(static_cast<size_t>(threads))
    {
        for (Thread& thread : mThreads)
        {
            thread.stack = std::make_unique<unsigned char[]>(kStackBytes);
        }
    }

    //! \return whether all threads met the same number of barriers.
    bool run(std::function<void()> const& kernel, ThreadOrder order)
    {
        mKernel = &kernel;
        running = this;
        for (Thread& thread : mThreads)
        {
            getcontext(&thread.context);
            thread.context.uc_stack.ss_sp = thread.stack.get();
            thread.context.uc_stack.ss_size = kStackBytes;
            thread.context.uc_link = nullptr;
            thread.ended = false;
            makecontext(&thread.context, &Block::enterThread, 0);
        }
        size_t ended = 0;
        while (ended == 0)
        {
            for (size_t i = 0; i < mThreads.size(); ++i)
            {
                size_t const index = order == ThreadOrder::kAscending ? i : mThreads.size() - 1 - i;
                resume(index);
                ended += mThreads[index].ended ? 1 : 0;
            }
        }
        running = nullptr;
        return ended == mThreads.size();
    }

    //! Called by a thread: back to the scheduler.
    void yield()
    {
        Thread& thread = mThreads[mActive];
        beforeSwitch(thread.ended ? nullptr : &thread.sanitizerStack, mSchedulerStack, mSchedulerBytes);
        swapcontext(&thread.context, &mScheduler);
        afterSwitch(thread.sanitizerStack, &mSchedulerStack, &mSchedulerBytes);
    }

    static Block* running;

private:
    struct Thread
    {
        ucontext_t context;
        std::unique_ptr<unsigned char[]> stack;
        void* sanitizerStack{nullptr};
        bool ended{false};
    };

    void resume(size_t index)
    {
        mActive = index;
        current.threadIdx = {static_cast<uint32_t>(index), 0, 0};
        void* saved = nullptr;
        beforeSwitch(&saved, mThreads[index].stack.get(), kStackBytes);
        swapcontext(&mScheduler, &mThreads[index].context);
        afterSwitch(saved, nullptr, nullptr);
    }

    static void enterThread()
    {
        Block& block = *running;
        afterSwitch(nullptr, &block.mSchedulerStack, &block.mSchedulerBytes);
        (*block.mKernel)();
        block.mThreads[block.mActive].ended = true;
        block.yield();
    }

    std::vector<Thread> mThreads;
    std::function<void()> const* mKernel{nullptr};
    ucontext_t mScheduler{};
    void const* mSchedulerStack{nullptr};
    size_t mSchedulerBytes{0};
    size_t mActive{0};
};

Block* Block::running = nullptr;

} // namespace

void synchronizeThreads()
{
    Block::running->yield();
}

cudaError_t launch(std::function<void()> const& kernel, int64_t blocks, int32_t threads, uint32_t sharedBytes,
                   ThreadOrder order)
{
    Block block{threads};
    current.gridDim = dim3{static_cast<uint32_t>(blocks), 1, 1};
    for (int64_t index = 0; index < blocks; ++index)
    {
        current.blockIdx = {static_cast<uint32_t>(index), 0, 0};
        std::unique_ptr<unsigned char[]> const shared{new unsigned char[sharedBytes]};
        std::memset(shared.get(), 0xFF, sharedBytes);
        current.sharedMemory = shared.get();
        if (!block.run(kernel, order))
        {
            return cudaErrorLaunchFailure;
        }
    }
    return cudaSuccess;
}

} // namespace normdeploy::emulation
