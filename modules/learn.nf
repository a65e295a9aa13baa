include { TRAIN_SEGMENTATION } from './train_segmentation'
include { PRETRAIN } from './pretrain'
include { TRAIN_REGISTRATION } from './train_registration'
include { TRAIN_VOXELMORPH } from './train_voxelmorph'

// A training's name in folders and logs: 'fold1', or 'fold1/seed2' where it is not the study's own.
def named(fold, Map setup) {
    return [id: ["fold${fold}", setup.name].findAll().join('/'), fold: fold, setup: setup.name]
}

// What a model is found by: the fold and the setup that it was trained with.
def keyed(meta, model) {
    return tuple([meta.fold, meta.setup], model)
}

// WSSAMNet: two segmentation networks side by side, pretraining, registration. Beside it VoxelMorph.
// What several runs need is trained once.
workflow LEARN {
    take:
    training // tuple: fold, settings of the preparation, prepared training cases
    runs // see variants.nf
    code // step -> digest of its code

    main:
    def attentive = runs.findAll { run -> run.attentive }.unique { run -> run.setup.name }
    def owners = ['segmentation', 'pretraining', 'registration']
        .collectEntries { stage -> [(stage): attentive.findAll { run -> run.source[stage] == run.setup.name }] }

    TRAIN_SEGMENTATION(
        training.flatMap { fold, preparation, folders ->
            owners.segmentation.findAll { run -> run.setup.words.preprocess == preparation }.collectMany { run ->
                ['fixed', 'moving'].collect { side -> tuple(named(fold, run.setup), side, folders, run.setup.words.segmentation) }
            }
        },
        code.train_segmentation)
    networks = TRAIN_SEGMENTATION.out.model.branch { meta, side, model ->
        fixed: side == 'fixed'
            return keyed(meta, model)
        moving: true
            return keyed(meta, model)
    }
    // [key of the segmentation, fold, run, prepared training cases, fixed network, moving network]
    segmented = training
        .flatMap { fold, preparation, folders ->
            attentive.findAll { run -> run.setup.words.preprocess == preparation }.collect { run -> tuple([fold, run.source.segmentation], fold, run, folders) }
        }
        .combine(networks.fixed, by: 0)
        .combine(networks.moving, by: 0)
    PRETRAIN(
        segmented.filter { _key, _fold, run, _folders, _fixed, _moving -> run in owners.pretraining && run.setup.pretrains }
            .map { _key, fold, run, folders, fixed, moving -> tuple(named(fold, run.setup), folders, fixed, moving, run.setup.words.pretraining) },
        code.pretrain)
    begun = segmented.filter { _key, _fold, run, _folders, _fixed, _moving -> run in owners.registration }
        .map { _key, fold, run, folders, fixed, moving -> tuple([fold, run.source.pretraining], fold, run, folders, fixed, moving) }
        .branch { _key, _fold, run, _folders, _fixed, _moving ->
            pretrained: run.setup.pretrains
            fresh: true
        }
    TRAIN_REGISTRATION(
        begun.pretrained.combine(PRETRAIN.out.model.map { meta, model -> keyed(meta, model) }, by: 0)
            .mix(begun.fresh.map { row -> row + [[]] })
            .map { _key, fold, run, folders, fixed, moving, pretrained ->
                tuple(named(fold, run.setup), folders, fixed, moving, pretrained, run.setup.words.registration)
            },
        code.train_registration)

    TRAIN_VOXELMORPH(
        training.flatMap { fold, preparation, folders ->
            runs.findAll { run -> run.registrar == 'voxelmorph' && run.setup.words.preprocess == preparation }
                .collect { run -> tuple(named(fold, run.setup), folders, run.setup.words.voxelmorph) }
        },
        code.train_voxelmorph)

    models = TRAIN_REGISTRATION.out.model
        .flatMap { meta, model ->
            runs.findAll { run -> run.attentive && run.source.registration == meta.setup }.collect { run -> tuple(meta.fold, run, model) }
        }
        .mix(TRAIN_VOXELMORPH.out.model.flatMap { meta, model ->
            runs.findAll { run -> run.registrar == 'voxelmorph' && run.setup.name == meta.setup }.collect { run -> tuple(meta.fold, run, model) }
        })

    folders = TRAIN_SEGMENTATION.out.model.map { meta, _side, model -> tuple(meta, model) }
        .mix(PRETRAIN.out.model, TRAIN_REGISTRATION.out.model, TRAIN_VOXELMORPH.out.model)

    emit:
    models // tuple: fold, run, folder of the model
    folders // tuple: meta, folder of any network
}
